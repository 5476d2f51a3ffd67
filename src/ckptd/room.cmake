# SPDX-License-Identifier: Apache-2.0
ckpt_program(ckptd
  SOURCES main.c compat.c options.c daemon.c act.c life.c links.c records.c quiet.c rails.c
          shortage.c fits.c
  LINKS ckpt_base ckpt_config ckpt_wire ckpt_agent ckpt_arena ckpt_mover ckpt_transport
        ckpt_digest ckpt_session ckpt_slurm ckpt_topology PkgConfig::EVENT Threads::Threads)
