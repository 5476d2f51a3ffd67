# SPDX-License-Identifier: Apache-2.0
add_executable(transport_benchmark ${CMAKE_SOURCE_DIR}/bench/transport_benchmark.c)
set_target_properties(transport_benchmark PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
target_link_libraries(transport_benchmark PRIVATE ckpt_flags ckpt_transport)
