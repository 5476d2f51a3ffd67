# SPDX-License-Identifier: Apache-2.0
ckpt_room(config SOURCES config.c settings.c value.c file.c flags.c help.c
          LINKS ckpt_base PkgConfig::INIH)
