# SPDX-License-Identifier: Apache-2.0
foreach(noun vectors engines digest fingerprint key b3sum)
  ckpt_test(test_digest_${noun} SOURCES unit/digest/test_${noun}.c LINKS ckpt_digest ckpt_base)
endforeach()

if(CKPT_TESTS)
  add_executable(fingerprint_main ${CMAKE_SOURCE_DIR}/tests/unit/digest/fingerprint_main.c)
  set_target_properties(fingerprint_main PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(fingerprint_main PRIVATE ckpt_flags ckpt_digest ckpt_base)
  add_test(NAME test_fingerprint_definition
           COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/digest/fingerprint.py
                   $<TARGET_FILE:fingerprint_main>)
  set_tests_properties(test_fingerprint_definition PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77
                       LABELS unit)
  add_test(NAME test_digest_neon
           COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/digest/neon.sh ${CMAKE_SOURCE_DIR}
                   ${CMAKE_BINARY_DIR}/tests/digest_neon)
  set_tests_properties(test_digest_neon PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77 LABELS unit)
endif()
