# SPDX-License-Identifier: Apache-2.0
foreach(noun dtype layout index)
  ckpt_test(test_shard_${noun} SOURCES unit/shard/test_${noun}.c LINKS ckpt_shard)
endforeach()
if(CKPT_TESTS)
  target_compile_definitions(test_shard_layout PRIVATE
    GOLDEN_FILE="${CMAKE_CURRENT_SOURCE_DIR}/tests/unit/shard/golden/shard.safetensors")

  # Our files in the official reader and the other way round; skipped where Python lacks it.
  add_executable(shard_sample ${CMAKE_SOURCE_DIR}/tests/unit/shard/shard_sample.c)
  set_target_properties(shard_sample PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(shard_sample PRIVATE ckpt_shard)
  find_program(PYTHON3 NAMES python3)
  if(PYTHON3)
    add_test(NAME test_shard_official
             COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/unit/shard/official.py
                     $<TARGET_FILE:shard_sample>)
    set_tests_properties(test_shard_official PROPERTIES SKIP_RETURN_CODE 77 LABELS unit)
  endif()
endif()
ckpt_fuzz(fuzz_shard SOURCE fuzz_shard.c LINKS ckpt_shard)
