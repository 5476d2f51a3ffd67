# SPDX-License-Identifier: Apache-2.0
set(workers
  ../src/ckptd/job.c ../src/ckptd/completions.c ../src/ckptd/digester.c ../src/ckptd/mover.c
  ../src/ckptd/mover_reads.c ../src/ckptd/mover_regions.c)
ckpt_test(test_ckptd_workers
  SOURCES unit/ckptd/test_workers.c ${workers}
  LINKS ckpt_base ckpt_wire ckpt_arena ckpt_transport ckpt_digest Threads::Threads
  LABELS threads)
target_include_directories(test_ckptd_workers PRIVATE ${CMAKE_SOURCE_DIR}/src/ckptd)
