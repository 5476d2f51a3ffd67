# SPDX-License-Identifier: Apache-2.0
# Each benchmark is declared in its own file; what needs Google Benchmark checks benchmark_FOUND.
file(GLOB bench_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.cmake)
list(REMOVE_ITEM bench_files ${CMAKE_SOURCE_DIR}/bench/bench.cmake)
foreach(bench_file IN LISTS bench_files)
  include(${bench_file})
endforeach()
