# SPDX-License-Identifier: Apache-2.0
foreach(noun act commit hear options)
  ckpt_test(test_ckptctld_${noun} SOURCES unit/ckptctld/test_${noun}.c LINKS ckpt_ckptctld)
endforeach()
