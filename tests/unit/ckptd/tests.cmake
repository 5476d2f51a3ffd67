# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_ckptd_quiet SOURCES unit/ckptd/test_quiet.c ../src/ckptd/quiet.c
          LINKS ckpt_mover PkgConfig::EVENT)
target_include_directories(test_ckptd_quiet PRIVATE ${CMAKE_SOURCE_DIR}/src/ckptd)

# Rails and bindings on recorded machines.
ckpt_test(test_ckptd_rails SOURCES unit/ckptd/test_rails.c ../src/ckptd/rails.c
          LINKS ckpt_mover ckpt_topology)
if(TARGET test_ckptd_rails)
  target_include_directories(test_ckptd_rails PRIVATE ${CMAKE_SOURCE_DIR}/src/ckptd)
  target_compile_definitions(test_ckptd_rails
                             PRIVATE MACHINES="${CMAKE_SOURCE_DIR}/tests/topologies")
endif()
