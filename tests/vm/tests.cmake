# SPDX-License-Identifier: Apache-2.0
# Tests that need RDMA: they run in virtual machines with Soft-RoCE (vm.py), and are skipped where
# QEMU or a kernel is missing.
find_program(PYTHON3 NAMES python3)

# ckpt_vm_run(<name> COMMAND <word>... GUESTS n RAILS n [FAMILY 4|6] SECONDS s): a test that runs in
# machines.
function(ckpt_vm_run name)
  cmake_parse_arguments(VM "" "GUESTS;RAILS;FAMILY;SECONDS" "COMMAND" ${ARGN})
  if(NOT VM_FAMILY)
    set(VM_FAMILY 4)
  endif()
  add_test(NAME ${name}
           COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/vm/vm.py --guests ${VM_GUESTS}
                   --rails ${VM_RAILS} --family ${VM_FAMILY} --seconds ${VM_SECONDS} --
                   ${VM_COMMAND})
  math(EXPR timeout "${VM_SECONDS} + 60")
  # Two machines at once would only slow each other down: one after the other they are what takes
  # longest, so the first begins first. Each has two processors.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} SKIP_RETURN_CODE 77
                                          LABELS vm RESOURCE_LOCK vm COST 1000 PROCESSORS 2)
endfunction()

# ckpt_vm_test(<name> SOURCES <file>... [LINKS ...] [SPEC transport] [PRELOAD target]
# [ENVIRONMENT X=Y...] GUESTS n RAILS n SECONDS s): a program, and the test of its name.
function(ckpt_vm_test name)
  if(NOT CKPT_TESTS OR NOT PYTHON3 OR NOT TARGET PkgConfig::VERBS OR CKPT_SANITIZE)
    return()
  endif()
  cmake_parse_arguments(VM "" "GUESTS;RAILS;SECONDS;SPEC;PRELOAD" "SOURCES;LINKS;ENVIRONMENT"
                        ${ARGN})
  list(TRANSFORM VM_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/tests/)
  add_executable(${name} ${VM_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ckpt_flags ckpt_public_headers ${VM_LINKS}
                                        PkgConfig::CMOCKA)
  if(VM_SPEC)
    target_compile_definitions(${name} PRIVATE SUITE_SPEC="${VM_SPEC}")
  endif()
  if(VM_PRELOAD)
    list(APPEND VM_ENVIRONMENT LD_PRELOAD=$<TARGET_FILE:${VM_PRELOAD}>)
    add_dependencies(${name} ${VM_PRELOAD})
  endif()
  ckpt_vm_run(${name} GUESTS ${VM_GUESTS} RAILS ${VM_RAILS} SECONDS ${VM_SECONDS}
              COMMAND env ${VM_ENVIRONMENT} $<TARGET_FILE:${name}>)
endfunction()

# ckpt_vm_python(<name> SCRIPT <file> [ARGUMENTS ...] [ENVIRONMENT X=Y...], and the rest as above):
# a test on the programs, in Python as the machines have it. Waits are six times as long as outside.
function(ckpt_vm_python name)
  if(NOT CKPT_TESTS OR NOT PYTHON3 OR NOT TARGET PkgConfig::VERBS OR CKPT_SANITIZE)
    return()
  endif()
  cmake_parse_arguments(VM "" "SCRIPT" "ARGUMENTS;ENVIRONMENT" ${ARGN})
  ckpt_vm_run(${name} ${VM_UNPARSED_ARGUMENTS}
              COMMAND env CKPT_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY} CKPT_TIME_SCALE=6
                      CKPT_TEST_TRANSPORT=verbs ${VM_ENVIRONMENT}
                      python3 ${CMAKE_SOURCE_DIR}/tests/${VM_SCRIPT} ${VM_ARGUMENTS})
endfunction()

# dma-bufs for Soft-RoCE: preloaded, see the file.
if(CKPT_TESTS AND TARGET PkgConfig::VERBS)
  add_library(reg_dmabuf SHARED ${CMAKE_CURRENT_LIST_DIR}/shim/reg_dmabuf.c)
  set_target_properties(reg_dmabuf PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests
                                              C_VISIBILITY_PRESET default)
  target_link_libraries(reg_dmabuf PRIVATE ckpt_flags PkgConfig::VERBS)
endif()

ckpt_vm_test(vm_transport_suite SOURCES unit/transport/test_suite.c unit/transport/suite.c
             LINKS ckpt_transport GUESTS 1 RAILS 1 SECONDS 300 SPEC verbs:rxe0)
ckpt_vm_test(vm_transport_rails SOURCES unit/transport/test_suite.c unit/transport/suite.c
             LINKS ckpt_transport GUESTS 1 RAILS 2 SECONDS 300 SPEC verbs:rxe0+rxe1)
# UCX's own way over RDMA. Soft-RoCE does not say in a completion of what kind a datagram is, which
# UCX's check of its destination needs (docs/transport.md).
ckpt_vm_test(vm_transport_ucx SOURCES unit/transport/test_suite.c unit/transport/suite.c
             LINKS ckpt_transport GUESTS 1 RAILS 1 SECONDS 300 SPEC ucx:rc
             ENVIRONMENT UCX_UD_VERBS_ETH_DGID_CHECK=n CKPT_SUITE_DEVICES=v0,rxe0:1)
ckpt_vm_test(vm_transport_faults SOURCES vm/test_faults.c vm/machines.c vm/director.c
             LINKS ckpt_transport GUESTS 2 RAILS 2 SECONDS 400)
ckpt_vm_test(vm_transport_removal SOURCES vm/test_removal.c vm/machines.c vm/director.c
             LINKS ckpt_transport GUESTS 2 RAILS 2 SECONDS 300)
ckpt_vm_test(vm_transport_bars SOURCES vm/test_bars.c vm/machines.c vm/director.c
             LINKS ckpt_transport GUESTS 2 RAILS 2 SECONDS 300)
ckpt_vm_test(vm_transport_intruder SOURCES vm/test_intruder.c LINKS ckpt_transport Threads::Threads
             GUESTS 1 RAILS 2 SECONDS 300)
ckpt_vm_test(vm_transport_dmabuf SOURCES vm/test_dmabuf.c LINKS ckpt_transport PRELOAD reg_dmabuf
             GUESTS 1 RAILS 1 SECONDS 120)

# Agents, coordinator and ranks over RDMA: two agents of one machine, then two machines and faults.
ckpt_vm_python(vm_engine_restore SCRIPT integration/cluster/run.py
               ARGUMENTS test_save_restore.SaveRestore.test_several_ranks_a_node
                         test_save_restore.SaveRestore.test_restore_on_other_nodes
                         test_save_restore.SaveRestore.test_three_copies
               GUESTS 1 RAILS 2 SECONDS 240)
ckpt_vm_python(vm_engine SCRIPT vm/engine.py GUESTS 2 RAILS 2 SECONDS 300)

ckpt_vm_python(vm_engine_ucx SCRIPT integration/cluster/run.py
               ARGUMENTS test_save_restore.SaveRestore.test_several_ranks_a_node
                         test_save_restore.SaveRestore.test_restore_on_other_nodes
               ENVIRONMENT CKPT_TEST_TRANSPORT=ucx:rc CKPT_TEST_DEVICES=v0,rxe0:1
                           UCX_UD_VERBS_ETH_DGID_CHECK=n
               GUESTS 1 RAILS 1 SECONDS 240)

# Where there is no IPv4.
if(TARGET vm_transport_suite)
  ckpt_vm_run(vm_ipv6_suite GUESTS 1 RAILS 1 FAMILY 6 SECONDS 300
              COMMAND $<TARGET_FILE:vm_transport_suite>)
  ckpt_vm_run(vm_ipv6_intruder GUESTS 1 RAILS 2 FAMILY 6 SECONDS 300
              COMMAND $<TARGET_FILE:vm_transport_intruder>)
  ckpt_vm_run(vm_ipv6_one_rail_cut GUESTS 2 RAILS 2 FAMILY 6 SECONDS 300
              COMMAND $<TARGET_FILE:vm_transport_faults> "one rail cut at the peer")
endif()
ckpt_vm_python(vm_ipv6_engine SCRIPT vm/engine.py
               ARGUMENTS test_the_owner_dies_and_its_shard_comes_from_the_peer
                         test_one_rail_is_cut_for_good
               GUESTS 2 RAILS 2 FAMILY 6 SECONDS 300)

# A rank's device memory, read by its agent.
if(TARGET reg_dmabuf)
  ckpt_vm_python(vm_engine_gather SCRIPT integration/cluster/run.py ARGUMENTS test_gather
                 ENVIRONMENT LD_PRELOAD=$<TARGET_FILE:reg_dmabuf> GUESTS 1 RAILS 2 SECONDS 240)
endif()

# What one agent takes and says at its start.
ckpt_vm_python(vm_agent SCRIPT vm/agent.py GUESTS 1 RAILS 2 SECONDS 200)

# What ckptbench reads from a GPU, by a driver and a registration that are fakes.
if(device_source STREQUAL gpu_memory.c)
  ckpt_vm_python(vm_ckptbench_gpu SCRIPT vm/gpu.py
                 ARGUMENTS ${CMAKE_BINARY_DIR}/tests/fake_cuda $<TARGET_FILE:reg_dmabuf>
                 GUESTS 1 RAILS 1 SECONDS 240)
endif()

# Beside perftest.
if(TARGET transport_benchmark)
  ckpt_vm_python(vm_bandwidth SCRIPT vm/bandwidth.py
                 ARGUMENTS $<TARGET_FILE:transport_benchmark> GUESTS 1 RAILS 1 SECONDS 240)
endif()

# Fingerprints beside the kernel's own code.
ckpt_vm_python(vm_nhpoly1305 SCRIPT vm/nhpoly1305.py ARGUMENTS $<TARGET_FILE:fingerprint_main>
               GUESTS 1 RAILS 0 SECONDS 300)
