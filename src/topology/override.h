/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the override of rails as text. */
#ifndef CKPT_TOPOLOGY_OVERRIDE_H
#define CKPT_TOPOLOGY_OVERRIDE_H

#include "base/reason.h"
#include "topology/rail.h"

/* Puts what text names into the map's rails: ports, counts, is_overridden. Each rails' ports have
 * room for all of the topology's. On an error the map may be half changed. */
enum ckpt_status topology_override_apply(const struct topology *topology, const char *text,
                                         struct topology_rail_map *map, struct reason reason);

#endif
