# SPDX-License-Identifier: Apache-2.0
ckpt_program(ckptctld
  SOURCES main.c act.c admin.c commit.c daemon.c doors.c hear.c life.c logging.c machine.c options.c
          parts.c records.c service.c start.c table.c table_change.c tables.c tables_checkpoint.c
          tables_troubles.c tier.c turn.c waits.c
  LINKS ckpt_base ckpt_config ckpt_coordinator ckpt_daemon ckpt_session ckpt_store
        PkgConfig::JANSSON Threads::Threads)
