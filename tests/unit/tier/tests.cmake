# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_tier SOURCES unit/tier/test_tier.c unit/tier/fixture.c LINKS ckpt_tier)
ckpt_test(test_tier_fsck SOURCES unit/tier/test_fsck.c unit/tier/fixture.c LINKS ckpt_tier)
ckpt_test(test_tier_posix SOURCES unit/tier/test_posix.c unit/tier/fixture.c LINKS ckpt_tier)
ckpt_test(test_tier_names SOURCES unit/tier/test_names.c LINKS ckpt_tier)

# The same suites, and what only a server can do, over s3. Skipped where Python lacks the server:
# scripts/layered_env.sh s3 makes build/venv-s3.
if(CKPT_TESTS AND S3_FOUND)
  add_executable(tier_s3 ${CMAKE_SOURCE_DIR}/tests/unit/tier/test_s3.c
                         ${CMAKE_SOURCE_DIR}/tests/unit/tier/fixture.c)
  target_include_directories(tier_s3 PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(tier_s3 PRIVATE ckpt_flags ckpt_public_headers ckpt_tier PkgConfig::S3
                                        PkgConfig::CMOCKA)
  set_target_properties(tier_s3 PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  foreach(suite test_tier test_tier_fsck tier_s3)
    string(REPLACE test_ "" noun ${suite})
    add_test(NAME test_${noun}_server COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/tier/s3_server.py
                                              $<TARGET_FILE:${suite}>)
    set_tests_properties(test_${noun}_server PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
                                                        LABELS unit)
  endforeach()
endif()

ckpt_fuzz(fuzz_tier SOURCE fuzz_tier.c LINKS ckpt_tier)
