# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_device_fake_gpu SOURCES unit/device/test_fake_gpu.c
          LINKS ckpt_device ckpt_digest)
ckpt_fake_gpu(test_device_fake_gpu)
ckpt_test(test_device SOURCES unit/device/test_device.c
          LINKS ckpt_device ckpt_digest ckpt_base TIMEOUT 300)
ckpt_fake_gpu(test_device)
ckpt_test(test_device_passes SOURCES unit/device/test_passes.c LINKS ckpt_device ckpt_base)
# What is declared of the driver, where its own header is there.
if(CUDA_HEADER_DIR AND CKPT_OPTIONAL)
  ckpt_test(test_device_driver_abi SOURCES unit/device/test_driver_abi.c
            LINKS ckpt_device_headers)
  if(TARGET test_device_driver_abi)
    target_include_directories(test_device_driver_abi SYSTEM PRIVATE ${CUDA_HEADER_DIR})
  endif()
endif()
