# SPDX-License-Identifier: Apache-2.0
foreach(noun plan proof star)
  ckpt_test(test_fanout_${noun} SOURCES unit/fanout/test_${noun}.c LINKS ckpt_fanout ckpt
            LABELS fanout)
endforeach()
ckpt_test(test_fanout_sockets SOURCES unit/fanout/test_sockets.c unit/fanout/trial.c
          LINKS ckpt_fanout ckpt LABELS fanout TIMEOUT 400)

# NCCL: by a library that is none, on the fake driver's streams; and the real one, which says no
# where there is no GPU.
if(CKPT_TESTS)
  ckpt_room_headers(fanout)
  add_library(fake_nccl SHARED EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/fake_gpu/nccl.c)
  target_link_libraries(fake_nccl PRIVATE ckpt_flags ckpt_public_headers ckpt_fanout_headers
                                          ckpt_base fake_gpu Threads::Threads)
  set_target_properties(fake_nccl PROPERTIES OUTPUT_NAME nccl SUFFIX .so.2
    C_VISIBILITY_PRESET default LIBRARY_OUTPUT_DIRECTORY ${CKPT_FAKE_GPU_FOLDER})
  target_link_options(fake_nccl PRIVATE -Wl,-soname,libnccl.so.2)
endif()
ckpt_test(test_fanout_nccl SOURCES unit/fanout/test_nccl.c unit/fanout/trial.c
          LINKS ckpt_fanout ckpt LABELS fanout TIMEOUT 400)
if(TARGET test_fanout_nccl)
  add_dependencies(test_fanout_nccl fake_nccl)
  # LeakSanitizer itself ends with a fault where the fake's streams have threads of their own left.
  set_property(TEST test_fanout_nccl APPEND PROPERTY ENVIRONMENT
               LD_LIBRARY_PATH=${CKPT_FAKE_GPU_FOLDER} ASAN_OPTIONS=detect_leaks=0)
endif()

# The real NCCL: held against its header, and how it is refused where there is no driver, and how it
# refuses over one that is none. Not where there is a GPU.
find_path(NCCL_HEADER_DIR nccl.h HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
          PATH_SUFFIXES include)
if(CKPT_TESTS AND CKPT_OPTIONAL AND NCCL_HEADER_DIR)
  ckpt_test(test_fanout_nccl_abi SOURCES unit/fanout/test_nccl_abi.c LINKS ckpt_fanout ckpt
            LABELS fanout)
  target_include_directories(test_fanout_nccl_abi SYSTEM PRIVATE ${NCCL_HEADER_DIR})
  target_compile_definitions(test_fanout_nccl_abi PRIVATE
                             NCCL_FILE="${NCCL_HEADER_DIR}/../lib/libnccl.so.2")
  add_dependencies(test_fanout_nccl_abi fake_gpu)
  add_test(NAME test_fanout_nccl_real COMMAND test_fanout_nccl_abi)
  set_tests_properties(test_fanout_nccl_real PROPERTIES TIMEOUT 60 SKIP_RETURN_CODE 77
    LABELS "unit;fanout" ENVIRONMENT LD_LIBRARY_PATH=${CKPT_FAKE_GPU_FOLDER})
endif()

# What is exported is what the version script and the header have.
if(CKPT_TESTS)
  add_test(NAME test_fanout_symbols
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/symbols.sh $<TARGET_FILE:ckpt_fanout_library>
                   ${CMAKE_SOURCE_DIR}/src/fanout/libckpt_fanout.map
                   ${CMAKE_SOURCE_DIR}/include/ckpt/fanout.h)
  set_tests_properties(test_fanout_symbols PROPERTIES LABELS "unit;fanout")
endif()
