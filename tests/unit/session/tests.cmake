# SPDX-License-Identifier: Apache-2.0
foreach(noun address bind channel door filter late notify resolver watchdog)
  ckpt_test(test_session_${noun} SOURCES unit/session/test_${noun}.c LINKS ckpt_session)
endforeach()
ckpt_test(test_session SOURCES unit/session/test_session.c LINKS ckpt_session)
