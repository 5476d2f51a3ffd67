# SPDX-License-Identifier: Apache-2.0
# Two hosts that are namespaces, and PyTorch: skipped, with the reason, where these are not.
find_package(Python3 3.9 COMPONENTS Interpreter)
if(CKPT_TESTS AND Python3_FOUND AND NOT CKPT_SANITIZE AND TARGET ckptd)
  add_test(NAME test_quickstart
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/test_quickstart.py)
  set_tests_properties(test_quickstart PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77
    LABELS integration ENVIRONMENT "CKPT_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
endif()
