# SPDX-License-Identifier: Apache-2.0
# A client of the agent: it has libckpt, and nothing of the daemon's.
if(YAML_FOUND)
  ckpt_program(ckptd-orbax-replicator
    DIR src/replicator
    SOURCES main.c serve.c files.c folder.c order.c
    LINKS ckpt_base ckpt_config ckpt PkgConfig::YAML)
endif()
