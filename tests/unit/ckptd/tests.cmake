# SPDX-License-Identifier: Apache-2.0
foreach(noun act hear options quiet)
  ckpt_test(test_ckptd_${noun} SOURCES unit/ckptd/test_${noun}.c LINKS ckpt_ckptd)
endforeach()

# Rails and bindings on recorded machines.
ckpt_test(test_ckptd_rails SOURCES unit/ckptd/test_rails.c LINKS ckpt_ckptd)
if(TARGET test_ckptd_rails)
  target_compile_definitions(test_ckptd_rails
                             PRIVATE MACHINES="${CMAKE_SOURCE_DIR}/tests/topologies")
endif()
