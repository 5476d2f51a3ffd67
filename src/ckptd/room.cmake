# SPDX-License-Identifier: Apache-2.0
ckpt_program(ckptd
  SOURCES main.c act.c adopt.c compat.c connections.c coordinator.c doors.c finished.c fits.c hear.c
          identity.c life.c logging.c machine.c memory.c options.c parts.c quiet.c rails.c
          service.c shortage.c start.c tier.c tier_queue.c tier_work.c transport.c
          turn.c workers.c
  LINKS ckpt_base ckpt_config ckpt_daemon ckpt_wire ckpt_agent ckpt_arena ckpt_mover ckpt_transport
        ckpt_digest ckpt_session ckpt_slurm ckpt_tier ckpt_topology
        PkgConfig::EVENT Threads::Threads)
