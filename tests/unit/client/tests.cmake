# SPDX-License-Identifier: Apache-2.0
foreach(noun open save prepare gather replica wait wait_persisted load range hostile copy)
  ckpt_test(test_client_${noun} SOURCES unit/client/test_${noun}.c unit/client/fake_agent.c
            LINKS ckpt_client)
endforeach()
ckpt_test(test_client_start_name SOURCES unit/client/test_start_name.c LINKS ckpt_client)

# Sanitizers have a malloc of their own.
if(NOT CKPT_SANITIZE)
  ckpt_test(test_client_allocations
            SOURCES unit/client/test_allocations.c unit/client/fake_agent.c LINKS ckpt_client)
endif()

if(CKPT_TESTS)
  add_test(NAME test_client_symbols
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/symbols.sh $<TARGET_FILE:ckpt>
                   ${CMAKE_SOURCE_DIR}/src/client/libckpt.map ${CMAKE_SOURCE_DIR}/include
                   ${CMAKE_SOURCE_DIR}/src/client)
  add_test(NAME test_client_headers
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/headers.sh ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER}
                   ${CMAKE_SOURCE_DIR}/include)
  set_tests_properties(test_client_symbols test_client_headers PROPERTIES LABELS unit)
  # A consumer of a library with sanitizers would need their flags.
  if(NOT CKPT_SANITIZE)
    add_test(NAME test_client_install
             COMMAND ${CMAKE_CURRENT_LIST_DIR}/install.sh ${CMAKE_COMMAND} ${CMAKE_C_COMPILER}
                     ${CMAKE_BINARY_DIR} ${PROJECT_VERSION})
    set_tests_properties(test_client_install PROPERTIES SKIP_RETURN_CODE 77 LABELS unit)
  endif()
endif()
