# SPDX-License-Identifier: Apache-2.0
foreach(noun hostlist topology job)
  ckpt_test(test_slurm_${noun} SOURCES unit/slurm/test_${noun}.c LINKS ckpt_slurm)
endforeach()
ckpt_fuzz(fuzz_slurm SOURCE fuzz_slurm.c LINKS ckpt_slurm)
