# SPDX-License-Identifier: Apache-2.0
foreach(noun save restore repair mark distrust job liars share replica stall inventory roster
        start degree trouble drain member attend replay admin digest_key range
        persist closed naming)
  ckpt_test(test_coordinator_${noun}
            SOURCES unit/coordinator/test_${noun}.c unit/coordinator/cluster.c
                    unit/coordinator/story.c unit/story.c describe.c
            LINKS ckpt_coordinator)
endforeach()
