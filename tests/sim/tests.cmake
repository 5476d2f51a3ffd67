# SPDX-License-Identifier: Apache-2.0
# The simulator: the two machines as they are, and once more with planted bugs.
if(NOT TARGET ckpt_agent OR NOT TARGET ckpt_coordinator)
  return()
endif()

set(CKPT_SIM_SOURCES main.c batch.c planted.c mix.c turns.c sim.c host.c net.c memory.c work.c
    tier.c node.c
    ruler.c rank.c rank_save.c rank_prepare.c rank_odd.c job.c hook.c nemesis.c operator.c trace.c
    ../describe.c
    judge.c judge_commit.c judge_latest.c judge_slot.c judge_room.c judge_agent.c
    judge_restore.c judge_scrub.c judge_key.c judge_absence.c judge_drain.c judge_copies.c
    judge_tier.c judge_liveness.c)
ckpt_program(ckptsim DIR tests/sim SOURCES ${CKPT_SIM_SOURCES}
             LINKS ckpt_agent ckpt_coordinator ckpt_store ckpt_session ckpt_wire ckpt_digest
                   ckpt_base)

# The machines' own sources again, with the switch that src/base/planted_bug.h describes.
ckpt_program(ckptsim_bugs DIR tests/sim SOURCES ${CKPT_SIM_SOURCES}
             LINKS ckpt_placement ckpt_store ckpt_session ckpt_wire ckpt_digest ckpt_base)
# Without the machines' assertions, which would catch some of the bugs before a judge can.
target_compile_definitions(ckptsim_bugs PRIVATE CKPT_PLANTED_BUGS=1 NDEBUG)
target_compile_options(ckptsim_bugs PRIVATE -Wno-unused-variable -Wno-unused-function
                       -Wno-unused-but-set-variable -Wno-unused-parameter
                       -Wno-array-bounds -Wno-stringop-overflow)
target_include_directories(ckptsim PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_include_directories(ckptsim_bugs PRIVATE ${CMAKE_SOURCE_DIR}/tests)
foreach(machine agent coordinator)
  get_target_property(sources ckpt_${machine} SOURCES)
  target_sources(ckptsim_bugs PRIVATE ${sources})
  target_include_directories(ckptsim_bugs PRIVATE ${CMAKE_BINARY_DIR}/rooms/${machine})
endforeach()

# 2,000 seeds where the code is optimised; what fits the same time where it is not.
if(CKPT_SANITIZE)
  set(seeds 60)
elseif(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(seeds 400)
else()
  set(seeds 2000)
endif()
add_test(NAME sim_seeds COMMAND ckptsim --seeds ${seeds} --jobs 2)
add_test(NAME sim_same_history COMMAND ckptsim --check-replay --seeds 5 --start 7)
add_test(NAME sim_planted_bugs COMMAND ckptsim_bugs --bugs --seeds 2000 --jobs 2)
set_tests_properties(sim_seeds sim_same_history sim_planted_bugs PROPERTIES LABELS sim TIMEOUT 1200)
set_tests_properties(sim_seeds sim_planted_bugs PROPERTIES PROCESSORS 2)

ckpt_test(test_sim_turns SOURCES unit/sim/test_turns.c sim/turns.c LINKS ckpt_base)
