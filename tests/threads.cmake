# SPDX-License-Identifier: Apache-2.0
# The tests of what has threads get the label that the tsan stage of `make check` asks for: the log,
# the arena's workers and its guard, the transports, the copying threads of libckpt, the agent's
# workers.
get_property(all_tests DIRECTORY PROPERTY TESTS)
foreach(test IN LISTS all_tests)
  if(test MATCHES "^test_(base_log|base_fault_point|arena|transport|client|ckptd|digester|mover)")
    set_property(TEST ${test} APPEND PROPERTY LABELS threads)
  endif()
endforeach()
