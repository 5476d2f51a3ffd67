# SPDX-License-Identifier: Apache-2.0
foreach(noun open save wait load hostile)
  ckpt_test(test_client_${noun} SOURCES unit/client/test_${noun}.c unit/client/fake_agent.c
            LINKS ckpt_client)
endforeach()
