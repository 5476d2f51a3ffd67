# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_storm
  SOURCES storm/test_storm.c storm/words.c storm/storm_coordinator.c storm/storm_agent.c
  LINKS ckpt_coordinator ckpt_agent ckpt_wire ckpt_wire_schema)
