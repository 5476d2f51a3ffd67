# SPDX-License-Identifier: Apache-2.0
# The tests of what has threads get the label that the tsan stage of `make check` asks for: the log,
# the arena's workers and its guard, the transports, the copying threads of libckpt, the agent's
# workers, what mover and store say of themselves. The target `threads` is what they need.
add_custom_target(threads)
if(TARGET ckpt)
  add_dependencies(threads ckpt)
endif()
get_property(all_tests DIRECTORY PROPERTY TESTS)
foreach(test IN LISTS all_tests)
  set(names base_log base_fault_point arena transport client ckptd digester mover)
  list(JOIN names "|" names)
  if(test MATCHES "^test_(${names})")
    set_property(TEST ${test} APPEND PROPERTY LABELS threads)
  endif()
  get_property(labels TEST ${test} PROPERTY LABELS)
  if(TARGET ${test} AND "threads" IN_LIST labels)
    add_dependencies(threads ${test})
  endif()
endforeach()
