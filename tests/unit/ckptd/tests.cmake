# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_ckptd_quiet SOURCES unit/ckptd/test_quiet.c LINKS ckpt_ckptd)

# Rails and bindings on recorded machines.
ckpt_test(test_ckptd_rails SOURCES unit/ckptd/test_rails.c LINKS ckpt_ckptd)
if(TARGET test_ckptd_rails)
  target_compile_definitions(test_ckptd_rails
                             PRIVATE MACHINES="${CMAKE_SOURCE_DIR}/tests/topologies")
endif()
