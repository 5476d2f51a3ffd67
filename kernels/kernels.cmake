# SPDX-License-Identifier: Apache-2.0
# libckpt_kernels.so.1: one text of CUDA C for GPUs by nvcc, where there is one; the tests compile
# it by g++ for the CPU (tests/unit/kernels). It carries CUDA's runtime, so that it needs the
# driver alone, and is opened at run time: nothing here links it.
set(CKPT_KERNEL_TEXTS error.cu blake3.cu changed.cu finite.cu fingerprint.cu gather.cu)
set(CKPT_CUDA_ARCHITECTURES 75 80 86 89 90 100 120 CACHE STRING
    "GPUs that libckpt_kernels has machine code for; later ones compile its PTX")
set(CKPT_CUDA_PTX 100 CACHE STRING "GPUs from which on its PTX is compiled by the driver")

ckpt_room_headers(digest)
set(farm ${CMAKE_BINARY_DIR}/rooms/kernels)
file(MAKE_DIRECTORY ${farm})
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/kernels ${farm}/kernels SYMBOLIC)
add_library(ckpt_kernels_headers INTERFACE)
target_include_directories(ckpt_kernels_headers INTERFACE ${farm})

# A sanitizer sees nothing of what nvcc makes, and it takes a minute and more.
if(CKPT_OPTIONAL AND NOT CKPT_SANITIZE)
  find_program(NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
endif()
if(NOT NVCC)
  message(STATUS "optional: nvcc             (none: no libckpt_kernels.so.1)")
  return()
endif()
execute_process(COMMAND ${NVCC} --version OUTPUT_VARIABLE nvcc_version)
string(REGEX MATCH "V([0-9.]+)" matched "${nvcc_version}")
set(nvcc_version ${CMAKE_MATCH_1})
execute_process(COMMAND ${NVCC} --list-gpu-code OUTPUT_VARIABLE nvcc_codes)
set(nvcc_targets)
set(nvcc_gpus)
foreach(gpu IN LISTS CKPT_CUDA_ARCHITECTURES)
  if(nvcc_codes MATCHES "sm_${gpu}(\n|$)")
    list(APPEND nvcc_targets -gencode arch=compute_${gpu},code=sm_${gpu})
    list(APPEND nvcc_gpus ${gpu})
  endif()
endforeach()
if(nvcc_codes MATCHES "sm_${CKPT_CUDA_PTX}(\n|$)")
  list(APPEND nvcc_targets -gencode arch=compute_${CKPT_CUDA_PTX},code=compute_${CKPT_CUDA_PTX})
endif()
list(JOIN nvcc_gpus " " nvcc_gpus)
message(STATUS "optional: nvcc             ${nvcc_version} (for ${nvcc_gpus})")

# Its host code is CMake's C++ compiler's. Doubts of that compiler about what nvcc makes of the text
# are not ours.
set(nvcc_options -std=c++17 -O3 -ccbin ${CMAKE_CXX_COMPILER} -Xcompiler=-fPIC,-fvisibility=hidden
                 -Wno-deprecated-gpu-targets -I${farm} -I${CMAKE_BINARY_DIR}/rooms/digest
                 -I${CMAKE_SOURCE_DIR}/include)
set(made ${CMAKE_BINARY_DIR}/kernels)
file(MAKE_DIRECTORY ${made} ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
set(objects)
foreach(file IN LISTS CKPT_KERNEL_TEXTS)
  # What nvcc makes on its way stays in a folder: test_kernels_budget looks into the cubins.
  file(MAKE_DIRECTORY ${made}/${file}.kept)
  add_custom_command(OUTPUT ${made}/${file}.o
    COMMAND ${NVCC} ${nvcc_options} ${nvcc_targets}
            -MD -MF ${made}/${file}.d -MT ${made}/${file}.o --keep
            --keep-dir ${made}/${file}.kept -o ${made}/${file}.o
            -c ${CMAKE_SOURCE_DIR}/kernels/${file}
    DEPENDS ${CMAKE_SOURCE_DIR}/kernels/${file} DEPFILE ${made}/${file}.d
    COMMENT "Building kernels/${file} for GPUs" VERBATIM)
  list(APPEND objects ${made}/${file}.o)
endforeach()
set(CKPT_KERNELS_FILE ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/libckpt_kernels.so.1)
set(map ${CMAKE_SOURCE_DIR}/kernels/libckpt_kernels.map)
add_custom_command(OUTPUT ${CKPT_KERNELS_FILE}
  COMMAND ${NVCC} -shared -cudart static -ccbin ${CMAKE_CXX_COMPILER} -Wno-deprecated-gpu-targets
          ${nvcc_targets} ${objects} -o ${CKPT_KERNELS_FILE}
          -Xlinker=-soname,libckpt_kernels.so.1 -Xlinker=--version-script,${map}
          -Xlinker=--no-undefined,--strip-all,-z,relro,-z,now
  DEPENDS ${objects} ${map} VERBATIM)
add_custom_target(ckpt_kernels ALL DEPENDS ${CKPT_KERNELS_FILE})
