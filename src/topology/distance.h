/* SPDX-License-Identifier: Apache-2.0 */
/* How far two parts of a node are apart, in the words of `nvidia-smi topo -m` and NCCL.
 *
 * Pure; any thread. docs/topology.md has the walk with pictures. */
#ifndef CKPT_TOPOLOGY_DISTANCE_H
#define CKPT_TOPOLOGY_DISTANCE_H

#include "topology/node_topology.h"

/* From near to far. */
enum topology_class {
    TOPOLOGY_SELF, /* one and the same */
    TOPOLOGY_PIX,  /* at most one PCI bridge on either side of the meeting point: one switch */
    TOPOLOGY_PXB,  /* several PCI bridges, but no host bridge: cascaded switches */
    TOPOLOGY_PHB,  /* through one host bridge; memory and a device of the same NUMA node */
    TOPOLOGY_NODE, /* through the CPU, between host bridges of one NUMA node */
    TOPOLOGY_SYS,  /* between NUMA nodes; also where the locality of one is not known */
};

enum topology_kind { TOPOLOGY_KIND_GPU, TOPOLOGY_KIND_PORT, TOPOLOGY_KIND_NUMA };

/* A GPU, a port or a NUMA node, as an index of the topology's array. */
struct topology_end {
    enum topology_kind kind;
    uint32_t index;
};

/* The class between two ends; the same both ways. Asserts that both are of the topology. */
enum topology_class topology_distance(const struct topology *topology, struct topology_end a,
                                      struct topology_end b);

/* The class between any two objects of the I/O forest, bridges included; the same both ways. Two
 * ports of one function, or two functions below one bridge, are PIX. */
enum topology_class topology_place_distance(const struct topology *topology, uint32_t a,
                                            uint32_t b);

/* "PIX"; "X" for TOPOLOGY_SELF, as nvidia-smi prints its diagonal. Lives for ever. */
const char *topology_class_name(enum topology_class distance);

/* "at most one PCI bridge between": what the class means, for a person. Lives for ever. */
const char *topology_class_meaning(enum topology_class distance);

/* "gpu0", "mlx5_0", "numa1": lives as long as the topology. */
const char *topology_end_name(const struct topology *topology, struct topology_end end);

/* The localities of two ends are both known and have a socket in common. */
bool topology_same_package(const struct topology *topology, struct topology_end a,
                           struct topology_end b);

#endif
