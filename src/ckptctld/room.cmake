# SPDX-License-Identifier: Apache-2.0
ckpt_program(ckptctld
  SOURCES main.c options.c start.c loop.c commit.c keeper.c peers.c admin.c tables.c
          tables_checkpoint.c tables_troubles.c table_change.c notes.c
  LINKS ckpt_base ckpt_config ckpt_coordinator ckpt_session ckpt_store
        PkgConfig::JANSSON Threads::Threads)
