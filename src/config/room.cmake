# SPDX-License-Identifier: Apache-2.0
ckpt_room(config SOURCES config.c settings.c value.c file.c flags.c help.c complete.c
                         complete_bash.c complete_zsh.c example.c strangers.c
          LINKS ckpt_base PkgConfig::INIH)
