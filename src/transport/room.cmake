# SPDX-License-Identifier: Apache-2.0
ckpt_room(transport SOURCES transport.c open.c reads.c label.c loop/loop.c
          LINKS ckpt_base)
