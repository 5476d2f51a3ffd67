# SPDX-License-Identifier: Apache-2.0
ckpt_room(topology SOURCES node_topology.c gather.c place.c device.c distance.c rail.c override.c
                          matrix.c
          LINKS ckpt_base PkgConfig::HWLOC)
