# SPDX-License-Identifier: Apache-2.0
# test_ckptctl plays the agents itself; test_transfer starts real ones.
ckpt_test(test_ckptctl
          SOURCES integration/ckptctl/test_ckptctl.c integration/ckptctld/cluster.c
                  integration/process.c integration/peer.c
          LINKS ckpt_wire ckpt_session PkgConfig::JANSSON
            LABELS integration TIMEOUT 300)
ckpt_test(test_ckptctl_transfer
          SOURCES integration/ckptctl/test_transfer.c integration/ckptctld/cluster.c
                  integration/process.c integration/peer.c
          LINKS ckpt_wire ckpt_session ckpt_digest ckpt_arena PkgConfig::JANSSON
            LABELS integration TIMEOUT 300)
ckpt_test(test_ckptctl_doctor_verb
          SOURCES integration/ckptctl/test_doctor_verb.c integration/ckptctld/cluster.c
                  integration/process.c integration/peer.c
          LINKS ckpt_wire ckpt_session PkgConfig::JANSSON
            LABELS integration TIMEOUT 300)
find_package(Python3 3.9 COMPONENTS Interpreter)
foreach(shell bash zsh)
  if(CKPT_TESTS AND Python3_FOUND AND TARGET ckptctl)
    add_test(NAME test_completions_${shell}
             COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/test_completions.py ${shell})
    set_tests_properties(test_completions_${shell} PROPERTIES
      TIMEOUT 120 SKIP_RETURN_CODE 77 LABELS integration
      ENVIRONMENT "CKPT_COMPLETIONS=${CMAKE_BINARY_DIR}/completions")
  endif()
endforeach()
foreach(test test_ckptctl test_ckptctl_transfer test_ckptctl_doctor_verb)
  if(TARGET ${test})
    target_compile_definitions(${test} PRIVATE CKPTCTLD_PROGRAM="$<TARGET_FILE:ckptctld>"
                                               CKPTCTL_PROGRAM="$<TARGET_FILE:ckptctl>"
                                               CKPTD_PROGRAM="$<TARGET_FILE:ckptd>")
    add_dependencies(${test} ckptctld ckptctl ckptd)
  endif()
endforeach()
ckpt_test(test_ckptctl_tier SOURCES integration/ckptctl/test_tier_verb.c unit/tier/fixture.c
          LINKS ckpt_tier)
if(CKPT_TESTS)
  target_compile_definitions(test_ckptctl_tier PRIVATE CKPTCTL="$<TARGET_FILE:ckptctl>")
  add_dependencies(test_ckptctl_tier ckptctl)
endif()
