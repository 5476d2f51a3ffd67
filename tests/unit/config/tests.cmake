# SPDX-License-Identifier: Apache-2.0
foreach(noun value load flags page strangers)
  ckpt_test(test_config_${noun} SOURCES unit/config/test_${noun}.c LINKS ckpt_config)
endforeach()
ckpt_fuzz(fuzz_config SOURCE fuzz_config.c LINKS ckpt_config)
