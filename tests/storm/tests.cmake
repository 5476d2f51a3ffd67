# SPDX-License-Identifier: Apache-2.0
set(CKPT_STORM_SOURCES words.c storm_coordinator.c storm_agent.c)
list(TRANSFORM CKPT_STORM_SOURCES PREPEND storm/)
ckpt_test(test_storm
  SOURCES storm/test_storm.c ${CKPT_STORM_SOURCES}
  LINKS ckpt_coordinator ckpt_agent ckpt_wire ckpt_wire_schema)
ckpt_fuzz(fuzz_storm SOURCE fuzz_storm.c
          LINKS ckpt_coordinator ckpt_agent ckpt_wire ckpt_wire_schema)
if(TARGET fuzz_storm)
  list(TRANSFORM CKPT_STORM_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/tests/)
  target_sources(fuzz_storm PRIVATE ${CKPT_STORM_SOURCES})
  target_include_directories(fuzz_storm PRIVATE ${CMAKE_SOURCE_DIR}/tests)
endif()
