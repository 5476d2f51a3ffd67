# SPDX-License-Identifier: Apache-2.0
foreach(noun save part prepare room gather pull source report load adopt life job key device seat
             refusal range range_fetch scrub persist)
  ckpt_test(test_agent_${noun}
            SOURCES unit/agent/test_${noun}.c unit/agent/driver.c unit/agent/story.c
                    unit/story.c describe.c
            LINKS ckpt_agent)
endforeach()
