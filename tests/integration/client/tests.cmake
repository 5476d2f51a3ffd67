# SPDX-License-Identifier: Apache-2.0
# The trainer test links libckpt.so's users only; the other arms fault points, which need the
# library's inside.
ckpt_test(test_client_trainer
          SOURCES integration/client/test_trainer.c integration/client/nodes.c
                  integration/process.c
          LINKS ckpt LABELS integration TIMEOUT 300)
ckpt_test(test_client_first_saves
          SOURCES integration/client/test_prepare.c integration/client/nodes.c
                  integration/process.c
          LINKS ckpt LABELS integration TIMEOUT 300)
ckpt_test(test_client_agent_loss
          SOURCES integration/client/test_agent_loss.c integration/client/nodes.c
                  integration/process.c
          LINKS ckpt_client LABELS integration TIMEOUT 300)
ckpt_test(test_client_device
          SOURCES integration/client/test_device.c integration/client/nodes.c
                  integration/process.c
          LINKS ckpt LABELS integration TIMEOUT 300)
ckpt_fake_gpu(test_client_device)
ckpt_test(test_client_fanout
          SOURCES integration/client/test_fanout.c integration/client/nodes.c
                  integration/process.c
          LINKS ckpt_fanout_library LABELS "integration;fanout" TIMEOUT 300)
foreach(test test_client_trainer test_client_first_saves test_client_agent_loss test_client_device
        test_client_fanout)
  if(TARGET ${test})
    target_compile_definitions(${test} PRIVATE
      CKPTD_PROGRAM="$<TARGET_FILE:ckptd>" CKPTCTLD_PROGRAM="$<TARGET_FILE:ckptctld>"
      TRAINER_PROGRAM="$<TARGET_FILE:ckpt-example-trainer>"
      TRAINER_TEXT="${CMAKE_SOURCE_DIR}/docs/protocol.md")
    add_dependencies(${test} ckptd ckptctld ckpt-example-trainer)
  endif()
endforeach()
