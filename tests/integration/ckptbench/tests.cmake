# SPDX-License-Identifier: Apache-2.0
if(CKPT_TESTS AND TARGET ckptbench)
  # Name and seconds it may take; the scripts are beside this file.
  foreach(test IN ITEMS "ckptbench 300" "input 120" "serve 240" "net 180" "plot 120" "words 180"
                        "bridge 120")
    separate_arguments(parts UNIX_COMMAND "${test}")
    list(GET parts 0 name)
    list(GET parts 1 seconds)
    set(full test_ckptbench_${name})
    if(name STREQUAL ckptbench)
      set(full test_ckptbench)
    endif()
    add_test(NAME ${full} COMMAND ${CMAKE_CURRENT_LIST_DIR}/test_${name}.sh
                                  ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
    set_tests_properties(${full} PROPERTIES TIMEOUT ${seconds} SKIP_RETURN_CODE 77
                                            LABELS integration)
  endforeach()
  add_custom_target(test_ckptbench_kernels_fakes ALL DEPENDS fake_gpu fake_gpu_kernels)
  add_test(NAME test_ckptbench_kernels
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/test_kernels.sh ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
                   ${CKPT_FAKE_GPU_FOLDER})
  set_tests_properties(test_ckptbench_kernels PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77
                                                         LABELS integration)
  ckpt_test(test_ckptbench_latency SOURCES integration/ckptbench/test_latency.c
            LINKS ckpt_bench_report)
  ckpt_test(test_ckptbench_axis SOURCES integration/ckptbench/test_axis.c
            LINKS ckpt_bench_plot)
  ckpt_room_headers(device)
  ckpt_test(test_ckptbench_gpu_none
            SOURCES integration/ckptbench/test_gpu_memory.c ../src/device/gpu_memory_none.c
            LINKS ckpt_device_headers ckpt_base)
  set_tests_properties(test_ckptbench_gpu_none PROPERTIES ENVIRONMENT CKPT_TEST_DRIVER=none)
  # GPU memory, by a driver that is not one. device_source: see src/device/room.cmake.
  if(device_source STREQUAL gpu_memory.c)
    set(ckptbench_drivers ${CMAKE_BINARY_DIR}/tests/fake_cuda)
    foreach(driver IN ITEMS good old)
      add_library(fake_cuda_${driver} SHARED ${CMAKE_CURRENT_LIST_DIR}/fake_cuda.c)
      target_link_libraries(fake_cuda_${driver} PRIVATE ckpt_flags)
      target_include_directories(fake_cuda_${driver} SYSTEM PRIVATE ${CUDA_HEADER_DIR})
      set_target_properties(fake_cuda_${driver} PROPERTIES
        OUTPUT_NAME cuda SUFFIX .so.1 C_VISIBILITY_PRESET default
        LIBRARY_OUTPUT_DIRECTORY ${ckptbench_drivers}/${driver})
    endforeach()
    target_compile_definitions(fake_cuda_old PRIVATE FAKE_CUDA_OLD)
    file(WRITE ${ckptbench_drivers}/broken/libcuda.so.1 "not a library\n")
    ckpt_test(test_ckptbench_gpu SOURCES integration/ckptbench/test_gpu_memory.c
                                         ../src/device/gpu_memory.c
              LINKS ckpt_device_headers ckpt_base ${CMAKE_DL_LIBS})
    target_include_directories(test_ckptbench_gpu SYSTEM PRIVATE ${CUDA_HEADER_DIR})
    add_dependencies(test_ckptbench_gpu fake_cuda_good fake_cuda_old)
    add_test(NAME test_ckptbench_gpu_old COMMAND test_ckptbench_gpu)
    add_test(NAME test_ckptbench_gpu_broken COMMAND test_ckptbench_gpu)
    foreach(driver IN ITEMS good old broken)
      set(suffix _${driver})
      if(driver STREQUAL good)
        set(suffix "")
      endif()
      set_tests_properties(test_ckptbench_gpu${suffix} PROPERTIES
        TIMEOUT 60 LABELS unit SKIP_RETURN_CODE 77
        ENVIRONMENT "LD_LIBRARY_PATH=${ckptbench_drivers}/${driver};CKPT_TEST_DRIVER=${driver}")
    endforeach()
  elseif(CKPT_OPTIONAL)
    add_test(NAME test_ckptbench_gpu COMMAND sh -c "echo 'skipped: no cuda.h'; exit 77")
    set_tests_properties(test_ckptbench_gpu PROPERTIES SKIP_RETURN_CODE 77 LABELS unit)
  endif()
endif()
