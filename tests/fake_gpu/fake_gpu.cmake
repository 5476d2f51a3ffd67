# SPDX-License-Identifier: Apache-2.0
# A libcuda.so.1 that has no GPU, and libckpt_kernels.so.1 whose kernels run on its streams, in one
# folder. A test links fake_gpu to speak with it, or has the folder in LD_LIBRARY_PATH.
set(CKPT_FAKE_GPU_FOLDER ${CMAKE_BINARY_DIR}/tests/fake_gpu)
if(CKPT_TESTS)
  ckpt_room_headers(device)
  add_library(fake_gpu SHARED EXCLUDE_FROM_ALL
    ${CMAKE_CURRENT_LIST_DIR}/copy.c ${CMAKE_CURRENT_LIST_DIR}/device.c
    ${CMAKE_CURRENT_LIST_DIR}/faults.c ${CMAKE_CURRENT_LIST_DIR}/memory.c
    ${CMAKE_CURRENT_LIST_DIR}/stream.c)
  target_include_directories(fake_gpu PUBLIC ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(fake_gpu PUBLIC ckpt_device_headers PRIVATE ckpt_flags Threads::Threads)
  set_target_properties(fake_gpu PROPERTIES OUTPUT_NAME cuda SUFFIX .so.1
    C_VISIBILITY_PRESET default LIBRARY_OUTPUT_DIRECTORY ${CKPT_FAKE_GPU_FOLDER})
  target_link_options(fake_gpu PRIVATE -Wl,-soname,libcuda.so.1)

  set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/kernels_stream.cc PROPERTIES
    COMPILE_OPTIONS "-include;${CMAKE_SOURCE_DIR}/tests/unit/kernels/cuda_on_cpu.h")
  add_library(fake_gpu_kernels SHARED EXCLUDE_FROM_ALL
    $<TARGET_OBJECTS:kernels_on_cpu> ${CMAKE_CURRENT_LIST_DIR}/kernels_stream.cc)
  target_link_libraries(fake_gpu_kernels PRIVATE fake_gpu)
  set_target_properties(fake_gpu_kernels PROPERTIES OUTPUT_NAME ckpt_kernels SUFFIX .so.1
    LIBRARY_OUTPUT_DIRECTORY ${CKPT_FAKE_GPU_FOLDER})
endif()

# ckpt_fake_gpu(<test>): it speaks with the fake, and finds the kernels.
function(ckpt_fake_gpu test)
  if(TARGET ${test})
    target_link_libraries(${test} PRIVATE fake_gpu)
    add_dependencies(${test} fake_gpu_kernels)
    set_property(TEST ${test} APPEND PROPERTY
                 ENVIRONMENT LD_LIBRARY_PATH=${CKPT_FAKE_GPU_FOLDER})
  endif()
endfunction()
