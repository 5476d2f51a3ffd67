# SPDX-License-Identifier: Apache-2.0
foreach(noun status ids bytes log crc32c prng fault_point nearest
             index_set lateness rare room sizes reason clock)
  ckpt_test(test_base_${noun} SOURCES unit/base/test_${noun}.c LINKS ckpt_base)
endforeach()
