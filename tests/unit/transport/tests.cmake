# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_transport_label SOURCES unit/transport/test_label.c LINKS ckpt_transport)
ckpt_test(test_transport_fault SOURCES unit/transport/test_fault.c LINKS ckpt_transport)
ckpt_test(test_transport_open SOURCES unit/transport/test_open.c LINKS ckpt_transport)

# One suite over all backends.
foreach(spec loop fault::loop fault:delay=0.5,delay_ms=3:loop fault::ucx:tcp ucx ucx:tcp ucx:shm)
  string(REGEX REPLACE "[^a-z]+" "_" name ${spec})
  ckpt_test(test_transport_${name} SOURCES unit/transport/test_suite.c unit/transport/suite.c
            LINKS ckpt_transport)
  if(TARGET test_transport_${name})
    target_compile_definitions(test_transport_${name} PRIVATE SUITE_SPEC="${spec}")
  endif()
endforeach()

# Peers in processes of their own, that die or fall silent.
foreach(spec ucx ucx:tcp ucx:shm)
  string(REGEX REPLACE "[^a-z]+" "_" name ${spec})
  ckpt_test(test_transport_peer_${name} SOURCES unit/transport/test_peer.c LINKS ckpt_transport)
  if(TARGET test_transport_peer_${name})
    target_compile_definitions(test_transport_peer_${name} PRIVATE SUITE_SPEC="${spec}")
  endif()
endforeach()

ckpt_test(test_transport_ucx_hosts SOURCES unit/transport/test_hosts.c LINKS ckpt_transport)
ckpt_test(test_transport_ucx_settings SOURCES unit/transport/test_ucx_settings.c
          LINKS ckpt_transport)
ckpt_test(test_transport_ucx_tuning SOURCES unit/transport/test_ucx_tuning.c LINKS ckpt_transport)

ckpt_fuzz(fuzz_descriptor SOURCE fuzz_descriptor.c LINKS ckpt_transport)

# The parts of verbs that need no device, and registration against a fake of libibverbs.
if(TARGET PkgConfig::VERBS)
  if(TARGET test_transport_open)
    target_compile_definitions(test_transport_open PRIVATE CKPT_VERBS=1)
  endif()
  ckpt_fuzz(fuzz_card SOURCE fuzz_card.c LINKS ckpt_transport)
  ckpt_test(test_transport_verbs_card SOURCES unit/transport/verbs/test_card.c
            LINKS ckpt_transport)
  ckpt_test(test_transport_verbs_gid SOURCES unit/transport/verbs/test_gid.c LINKS ckpt_transport)
  ckpt_test(test_transport_verbs_register SOURCES unit/transport/verbs/test_register.c
            LINKS ckpt_transport)
  ckpt_test(test_transport_verbs_watch SOURCES unit/transport/verbs/test_watch.c
            LINKS ckpt_transport)
endif()
