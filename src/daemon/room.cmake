# SPDX-License-Identifier: Apache-2.0
# What both daemons have beside their machines.
ckpt_room(daemon SOURCES address_key.c notes.c part.c strangers.c
          LINKS ckpt_base ckpt_config ckpt_session ckpt_wire)
