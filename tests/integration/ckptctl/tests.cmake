# SPDX-License-Identifier: Apache-2.0
ckpt_test(test_ckptctl
          SOURCES integration/ckptctl/test_ckptctl.c integration/ckptctld/cluster.c
                  integration/process.c integration/peer.c
          LINKS ckpt_wire ckpt_session PkgConfig::JANSSON LABELS integration TIMEOUT 300)
if(TARGET test_ckptctl)
  target_compile_definitions(test_ckptctl PRIVATE CKPTCTLD_PROGRAM="$<TARGET_FILE:ckptctld>"
                                                  CKPTCTL_PROGRAM="$<TARGET_FILE:ckptctl>")
  add_dependencies(test_ckptctl ckptctld ckptctl)
endif()
