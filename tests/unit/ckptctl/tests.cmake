# SPDX-License-Identifier: Apache-2.0
foreach(noun text document table doctor doctor_read)
  ckpt_test(test_ckptctl_${noun} SOURCES unit/ckptctl/test_${noun}.c LINKS ckpt_ckptctl)
endforeach()
