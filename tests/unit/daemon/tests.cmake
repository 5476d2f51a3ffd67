# SPDX-License-Identifier: Apache-2.0
foreach(noun address_key notes part)
  ckpt_test(test_daemon_${noun} SOURCES unit/daemon/test_${noun}.c LINKS ckpt_daemon)
endforeach()
