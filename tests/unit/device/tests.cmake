# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_device_fake_gpu SOURCES unit/device/test_fake_gpu.c
          LINKS ckpt_device ckpt_digest)
ckpt_fake_gpu(test_device_fake_gpu)
# What is declared of the driver, where its own header is there.
if(CUDA_HEADER_DIR AND CKPT_OPTIONAL)
  ckpt_test(test_device_driver_abi SOURCES unit/device/test_driver_abi.c
            LINKS ckpt_device_headers)
  if(TARGET test_device_driver_abi)
    target_include_directories(test_device_driver_abi SYSTEM PRIVATE ${CUDA_HEADER_DIR})
  endif()
endif()
