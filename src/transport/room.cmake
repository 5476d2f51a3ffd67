# SPDX-License-Identifier: Apache-2.0
ckpt_room(transport SOURCES transport.c open.c reads.c label.c loop/loop.c
                            fault/fault.c fault/plan.c
                            ucx/open.c ucx/configure.c ucx/region.c ucx/reader.c
                            ucx/source.c ucx/hosts.c
          LINKS ckpt_base PkgConfig::UCX)
