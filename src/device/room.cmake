# SPDX-License-Identifier: Apache-2.0
# What is opened at run time. Of CUDA the header alone is needed: the driver's library is looked for
# when it is used. cuMemGetHandleForAddressRange came with CUDA 11.7.
set(device_source gpu_memory_none.c)
if(CKPT_OPTIONAL)
  find_path(CUDA_HEADER_DIR cuda.h HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
            PATH_SUFFIXES include)
  if(CUDA_HEADER_DIR)
    file(STRINGS ${CUDA_HEADER_DIR}/cuda.h cuda_version REGEX "^#define CUDA_VERSION [0-9]+")
    string(REGEX REPLACE "[^0-9]" "" cuda_version "${cuda_version}")
    if(cuda_version GREATER_EQUAL 11070)
      set(device_source gpu_memory.c)
    endif()
  endif()
  message(STATUS "optional: cuda.h           ${cuda_version}")
endif()
ckpt_room(device SOURCES ${device_source} device.c driver.c job.c
                    kernels_library.c memory.c passes.c
          LINKS ckpt_base ckpt_digest ckpt_kernels_headers ${CMAKE_DL_LIBS})
if(device_source STREQUAL gpu_memory.c)
  target_include_directories(ckpt_device SYSTEM PRIVATE ${CUDA_HEADER_DIR})
endif()
