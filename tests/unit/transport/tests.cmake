# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_transport_label SOURCES unit/transport/test_label.c LINKS ckpt_transport)
ckpt_test(test_transport_open SOURCES unit/transport/test_open.c LINKS ckpt_transport)

# One suite over all backends.
foreach(spec loop ucx ucx:tcp ucx:shm)
  string(REGEX REPLACE "[^a-z]" "_" name ${spec})
  ckpt_test(test_transport_${name} SOURCES unit/transport/test_suite.c unit/transport/suite.c
            LINKS ckpt_transport)
  if(TARGET test_transport_${name})
    target_compile_definitions(test_transport_${name} PRIVATE SUITE_SPEC="${spec}")
  endif()
endforeach()
