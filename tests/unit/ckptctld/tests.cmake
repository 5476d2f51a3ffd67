# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_ckptctld_options SOURCES unit/ckptctld/test_options.c ../src/ckptctld/options.c
          LINKS ckpt_base ckpt_config ckpt_coordinator ckpt_session ckpt_store)
if(TARGET test_ckptctld_options)
  target_include_directories(test_ckptctld_options PRIVATE ${CMAKE_SOURCE_DIR}/src/ckptctld)
endif()
