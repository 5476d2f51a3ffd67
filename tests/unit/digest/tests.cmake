# SPDX-License-Identifier: Apache-2.0
foreach(noun vectors engines digest b3sum)
  ckpt_test(test_digest_${noun} SOURCES unit/digest/test_${noun}.c LINKS ckpt_digest ckpt_base)
endforeach()
