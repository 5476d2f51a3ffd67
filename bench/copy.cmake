# SPDX-License-Identifier: Apache-2.0
if(benchmark_FOUND)
  add_executable(copy_benchmark ${CMAKE_SOURCE_DIR}/bench/copy_benchmark.cc)
  set_target_properties(copy_benchmark PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  target_link_libraries(copy_benchmark PRIVATE ckpt_flags ckpt_client benchmark::benchmark)
endif()
