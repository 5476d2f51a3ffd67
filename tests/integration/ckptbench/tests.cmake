# SPDX-License-Identifier: Apache-2.0
if(CKPT_TESTS AND TARGET ckptbench)
  # Name and seconds it may take; the scripts are beside this file.
  foreach(test IN ITEMS "ckptbench 300" "input 120" "serve 240" "net 180" "plot 120")
    separate_arguments(parts UNIX_COMMAND "${test}")
    list(GET parts 0 name)
    list(GET parts 1 seconds)
    set(full test_ckptbench_${name})
    if(name STREQUAL ckptbench)
      set(full test_ckptbench)
    endif()
    add_test(NAME ${full} COMMAND ${CMAKE_CURRENT_LIST_DIR}/test_${name}.sh
                                  ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
    set_tests_properties(${full} PROPERTIES TIMEOUT ${seconds} SKIP_RETURN_CODE 77
                                            LABELS integration)
  endforeach()
  ckpt_test(test_ckptbench_latency SOURCES integration/ckptbench/test_latency.c
                                           ../bench/ckptbench/latency.c)
  ckpt_test(test_ckptbench_axis SOURCES integration/ckptbench/test_axis.c
                                        ../bench/ckptbench/axis.c LINKS m)
  foreach(test IN ITEMS test_ckptbench_latency test_ckptbench_axis)
    target_include_directories(${test} PRIVATE ${CMAKE_SOURCE_DIR}/bench/ckptbench)
  endforeach()
endif()
