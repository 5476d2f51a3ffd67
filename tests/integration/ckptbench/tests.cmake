# SPDX-License-Identifier: Apache-2.0
if(CKPT_TESTS AND TARGET ckptbench)
  add_test(NAME test_ckptbench
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/test_ckptbench.sh ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
  set_tests_properties(test_ckptbench PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77
                                                 LABELS integration)
endif()
