# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_coordinator_save
  SOURCES unit/coordinator/test_save.c unit/coordinator/cluster.c
  LINKS ckpt_coordinator)
ckpt_test(test_coordinator_restore
  SOURCES unit/coordinator/test_restore.c unit/coordinator/cluster.c
  LINKS ckpt_coordinator)
ckpt_test(test_coordinator_distrust
  SOURCES unit/coordinator/test_distrust.c unit/coordinator/cluster.c
  LINKS ckpt_coordinator)
ckpt_test(test_coordinator_job
  SOURCES unit/coordinator/test_job.c unit/coordinator/cluster.c
  LINKS ckpt_coordinator)
ckpt_test(test_coordinator_replica
  SOURCES unit/coordinator/test_replica.c unit/coordinator/cluster.c
  LINKS ckpt_coordinator)
