# SPDX-License-Identifier: Apache-2.0
# Tests on real processes: Python (standard library only) drives daemons and ckpt-test-rank.
if(NOT CKPT_TESTS OR NOT TARGET ckpt_client)
  return()
endif()
find_package(Python3 3.9 COMPONENTS Interpreter)

ckpt_program(ckpt-test-rank DIR tests/integration/cluster
  SOURCES test_rank.c test_rank_save.c test_rank_load.c
  LINKS ckpt_client ckpt_base)
set_target_properties(ckpt-test-rank PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# ckpt_integration(<name> <timeout s> <module or test>...): one ctest; so that `ctest -j` balances.
set(CKPT_INTEGRATION_RUN ${CMAKE_CURRENT_LIST_DIR}/run.py)
function(ckpt_integration name timeout)
  if(NOT Python3_FOUND)
    return()
  endif()
  set(scale 1)
  if(CKPT_SANITIZE)
    set(scale 4)
  endif()
  math(EXPR timeout "${timeout} * ${scale}")
  add_test(NAME integration_${name}
           COMMAND ${Python3_EXECUTABLE} ${CKPT_INTEGRATION_RUN} ${ARGN})
  set_tests_properties(integration_${name} PROPERTIES
    TIMEOUT ${timeout} SKIP_RETURN_CODE 77 LABELS integration COST 100
    ENVIRONMENT "CKPT_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};CKPT_TIME_SCALE=${scale}")
endfunction()

# In pairs of about the same length, the longest first.
ckpt_integration(loss_six_two 300 six_nodes_two)
ckpt_integration(loss_six_three 300 six_nodes_three)
ckpt_integration(loss_five 300 five_nodes)
ckpt_integration(loss_four 200 four_nodes)
ckpt_integration(crash_agents 900 AgentKept AgentStart Registry)
ckpt_integration(crash_others 900 AgentWiped CoordinatorDies)
ckpt_integration(save_restore 200 test_save_restore)
ckpt_integration(bit_flips 200 test_bit_flips)
ckpt_integration(questions 120 test_questions)
ckpt_integration(pause 200 test_pause)
ckpt_integration(stall_coordinator 300 StalledCoordinator)
ckpt_integration(stall_records 300 StalledRecords)
ckpt_integration(resolver 300 test_resolver)
ckpt_integration(trainer 200 test_trainer)
ckpt_integration(full 200 test_full)
ckpt_integration(restart 200 test_restart)
ckpt_integration(recovery 200 test_recovery)
ckpt_integration(hostile 200 test_hostile)
ckpt_integration(bounds 200 test_bounds)
ckpt_integration(bad_input 200 test_bad_input)
ckpt_integration(gather 200 test_gather)
ckpt_integration(import 200 test_import)
ckpt_integration(export 200 test_export)
ckpt_integration(order 200 test_order)
ckpt_integration(settings 200 test_settings)
ckpt_integration(replica 200 test_replica)
ckpt_integration(shares 200 test_shares)
ckpt_integration(starts 200 test_starts)
ckpt_integration(watch 200 test_watch)
ckpt_integration(keys 200 test_keys)
ckpt_integration(degree 300 test_degree)
ckpt_integration(silence 300 test_silence)
ckpt_integration(ends 300 test_ends)
