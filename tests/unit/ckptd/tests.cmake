# SPDX-License-Identifier: Apache-2.0
set(workers
  ../src/ckptd/job.c ../src/ckptd/completions.c ../src/ckptd/digester.c ../src/ckptd/mover.c
  ../src/ckptd/mover_gather.c ../src/ckptd/mover_reads.c ../src/ckptd/mover_regions.c
  ../src/ckptd/rails.c)
ckpt_test(test_ckptd_workers
  SOURCES unit/ckptd/test_workers.c ${workers}
  LINKS ckpt_base ckpt_wire ckpt_arena ckpt_transport ckpt_digest ckpt_topology Threads::Threads
  LABELS threads)
target_include_directories(test_ckptd_workers PRIVATE ${CMAKE_SOURCE_DIR}/src/ckptd)

ckpt_test(test_ckptd_quiet SOURCES unit/ckptd/test_quiet.c ../src/ckptd/quiet.c
          LINKS ckpt_base ckpt_wire ckpt_arena ckpt_digest ckpt_topology PkgConfig::EVENT)
target_include_directories(test_ckptd_quiet PRIVATE ${CMAKE_SOURCE_DIR}/src/ckptd)

# Rails and bindings on recorded machines.
ckpt_test(test_ckptd_rails SOURCES unit/ckptd/test_rails.c ../src/ckptd/rails.c
          LINKS ckpt_base ckpt_topology Threads::Threads)
if(TARGET test_ckptd_rails)
  target_include_directories(test_ckptd_rails PRIVATE ${CMAKE_SOURCE_DIR}/src/ckptd)
  target_compile_definitions(test_ckptd_rails
                             PRIVATE MACHINES="${CMAKE_SOURCE_DIR}/tests/topologies")
endif()
