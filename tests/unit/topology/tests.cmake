# SPDX-License-Identifier: Apache-2.0
foreach(test topology_read topology_device topology_distance topology_rail)
  ckpt_test(test_${test} SOURCES unit/topology/test_${test}.c unit/topology/machine.c
                         LINKS ckpt_topology)
  if(TARGET test_${test})
    target_compile_definitions(test_${test} PRIVATE MACHINES="${CMAKE_SOURCE_DIR}/tests/topologies")
  endif()
endforeach()

# The verb of ckptctl, as a process.
ckpt_test(test_topology_verb
          SOURCES unit/topology/test_topology_verb.c integration/process.c
          LINKS PkgConfig::JANSSON
          LABELS integration)
if(TARGET test_topology_verb)
  target_compile_definitions(test_topology_verb
                             PRIVATE MACHINES="${CMAKE_SOURCE_DIR}/tests/topologies"
                                     CKPTCTL_PROGRAM="$<TARGET_FILE:ckptctl>")
  add_dependencies(test_topology_verb ckptctl)
endif()
