# SPDX-License-Identifier: Apache-2.0
if(CKPT_TESTS AND NOT CKPT_SANITIZE AND TARGET ckptbench AND TARGET ckptctl AND TARGET ckptctld)
  add_test(NAME test_install COMMAND ${CMAKE_CURRENT_LIST_DIR}/test_install.sh ${CMAKE_COMMAND}
                                     ${CMAKE_BINARY_DIR})
  set_tests_properties(test_install PROPERTIES TIMEOUT 120 LABELS integration)
endif()
