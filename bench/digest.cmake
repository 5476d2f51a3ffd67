# SPDX-License-Identifier: Apache-2.0
if(benchmark_FOUND)
  add_executable(digest_benchmark ${CMAKE_SOURCE_DIR}/bench/digest_benchmark.cc)
  set_target_properties(digest_benchmark PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  target_link_libraries(digest_benchmark PRIVATE ckpt_flags ckpt_digest benchmark::benchmark)
endif()
