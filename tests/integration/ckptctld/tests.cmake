# SPDX-License-Identifier: Apache-2.0
foreach(subject lifecycle save hostile admin)
  ckpt_test(test_ckptctld_${subject}
            SOURCES integration/ckptctld/test_${subject}.c integration/ckptctld/cluster.c
                    integration/process.c integration/peer.c
            LINKS ckpt_wire ckpt_session PkgConfig::JANSSON PkgConfig::SQLITE
            LABELS integration TIMEOUT 300)
  if(TARGET test_ckptctld_${subject})
    target_compile_definitions(test_ckptctld_${subject}
                               PRIVATE CKPTCTLD_PROGRAM="$<TARGET_FILE:ckptctld>")
    add_dependencies(test_ckptctld_${subject} ckptctld)
  endif()
endforeach()
