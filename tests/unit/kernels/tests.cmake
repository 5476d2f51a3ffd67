# SPDX-License-Identifier: Apache-2.0
# The text of kernels/ by g++: threads are fibers, and everything else of CUDA is cuda_on_cpu.h. Its
# loops are optimised in every preset, or they would take a minute.
if(CKPT_TESTS)
  set(kernels_on_cpu)
  foreach(file IN LISTS CKPT_KERNEL_TEXTS)
    list(APPEND kernels_on_cpu ${CMAKE_SOURCE_DIR}/kernels/${file})
  endforeach()
  set(words_of_cuda -include ${CMAKE_CURRENT_LIST_DIR}/cuda_on_cpu.h)
  set_source_files_properties(${kernels_on_cpu} PROPERTIES LANGUAGE CXX
    COMPILE_OPTIONS "-x;c++;${words_of_cuda};-Wno-unknown-pragmas;-O2"
    OBJECT_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/cuda_on_cpu.h)
  set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cuda_on_cpu.cc PROPERTIES
    COMPILE_OPTIONS "${words_of_cuda};-O2"
    OBJECT_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/cuda_on_cpu.h)
  add_library(kernels_on_cpu STATIC EXCLUDE_FROM_ALL
              ${kernels_on_cpu} ${CMAKE_CURRENT_LIST_DIR}/cuda_on_cpu.cc)
  target_include_directories(kernels_on_cpu PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(kernels_on_cpu PUBLIC ckpt_kernels_headers ckpt_public_headers
                                       PRIVATE ckpt_flags ckpt_digest_headers)
  foreach(noun blake3 fingerprint tables mutants)
    ckpt_test(test_kernels_${noun} SOURCES unit/kernels/test_${noun}.c unit/kernels/tables.c
              LINKS kernels_on_cpu ckpt_shard ckpt_digest ckpt_base LABELS kernels
              TIMEOUT 300)
    set_target_properties(test_kernels_${noun} PROPERTIES LINKER_LANGUAGE CXX)
  endforeach()
endif()

# What nvcc made of it, where it was there.
find_program(PYTHON3 NAMES python3)
if(CKPT_TESTS AND PYTHON3 AND TARGET ckpt_kernels)
  set(budget ${CMAKE_CURRENT_LIST_DIR}/budget.py)
  add_test(NAME test_kernels_budget COMMAND ${budget} ${CMAKE_BINARY_DIR}/kernels)
  add_test(NAME test_kernels_budget_finds COMMAND ${budget} --self-test)
  set_tests_properties(test_kernels_budget test_kernels_budget_finds PROPERTIES
                       SKIP_RETURN_CODE 77 LABELS "unit;kernels")
endif()

# The library as it is opened at run time: fakes of it, the kernels on the CPU in its place, and the
# real one where nvcc was.
if(CKPT_TESTS)
  set(folder ${CMAKE_BINARY_DIR}/tests/kernels)
  add_library(kernels_on_cpu_library SHARED EXCLUDE_FROM_ALL $<TARGET_OBJECTS:kernels_on_cpu>)
  set_target_properties(kernels_on_cpu_library PROPERTIES OUTPUT_NAME ckpt_kernels SUFFIX .so.1
                                                          LIBRARY_OUTPUT_DIRECTORY ${folder})
  ckpt_test(test_kernels_library SOURCES unit/device/test_kernels_library.c
            LINKS ckpt_device ckpt_digest LABELS kernels)
  target_compile_definitions(test_kernels_library PRIVATE KERNELS_FOLDER="${folder}")
  add_dependencies(test_kernels_library kernels_on_cpu_library)
  foreach(fake IN ITEMS version lacking device)
    string(TOUPPER ${fake} flag)
    add_library(fake_kernels_${fake} SHARED EXCLUDE_FROM_ALL
                ${CMAKE_SOURCE_DIR}/tests/unit/device/fake_kernels.c)
    target_compile_definitions(fake_kernels_${fake} PRIVATE FAKE_${flag})
    target_link_libraries(fake_kernels_${fake} PRIVATE ckpt_flags ckpt_kernels_headers)
    set_target_properties(fake_kernels_${fake} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${folder})
    add_dependencies(test_kernels_library fake_kernels_${fake})
  endforeach()
  if(TARGET ckpt_kernels)
    target_compile_definitions(test_kernels_library PRIVATE KERNELS_REAL="${CKPT_KERNELS_FILE}")
    add_dependencies(test_kernels_library ckpt_kernels)
  endif()
endif()
