/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: from hwloc's objects to plain data. */
#ifndef CKPT_TOPOLOGY_GATHER_H
#define CKPT_TOPOLOGY_GATHER_H

#include <hwloc.h>

#include "base/reason.h"
#include "topology/node_topology.h"

/* hwloc is loaded; its objects' userdata are written. Errors as topology_read_machine. */
enum ckpt_status topology_gather(hwloc_topology_t hwloc, struct topology **topology_out,
                                 struct reason reason);

#endif
