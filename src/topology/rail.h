/* SPDX-License-Identifier: Apache-2.0 */
/* Which NIC ports move the bytes of which memory. Pure on the topology; any thread.
 *
 * The rule: all usable ports of the best class. Usable is a port that is not down. Virtual
 * functions count only where no physical port is up, as in a virtual machine; software devices
 * (Soft-RoCE) only where neither is. Within SYS, ports at the same socket come before those across.
 *
 * GPUs that share ports are dealt them like cards, in the order of names, each port to the GPU that
 * has fewest; so when all GPUs save at once each begins on ports of its own. When there are fewer
 * ports than GPUs, as many GPUs begin on each. The same machine gives the same choice, always.
 *
 * An override, "gpu0=mlx5_0+mlx5_1, numa1=mlx5_2", replaces the choice for the memory it names and
 * nothing else. A device that has several ports can be named whole (mlx4_0) or by port (mlx4_0:2).
 * An override may name any port, also one that is down. */
#ifndef CKPT_TOPOLOGY_RAIL_H
#define CKPT_TOPOLOGY_RAIL_H

#include "base/limits.h"
#include "topology/distance.h"

/* The rails of one GPU's or one NUMA node's memory. */
struct topology_rails {
    struct topology_end memory;
    bool is_overridden;
    enum topology_class class;     /* of every rail; of the farthest when overridden */
    uint32_t own_count;            /* ports[0] to [own_count - 1]: to begin on */
    uint32_t port_count;           /* those behind own_count are as near, but others begin there */
    uint32_t *ports;               /* indices of topology.ports */
    char why[CKPT_REASON_MAX + 1]; /* the choice, or why there is none, for a person */
};

struct topology_rail_map {
    uint32_t gpu_count, numa_count;
    struct topology_rails *gpus;  /* as topology.gpus */
    struct topology_rails *numas; /* as topology.numas */
    uint32_t *ports;              /* what all rails' ports point into */
};

/* Chooses for every GPU and every NUMA node. override: NULL or blank for none. That there are no
 * rails is no error: port_count is 0, and why says what is missing.
 *
 * RETURN VALUE
 * CKPT_OK, and *map_out is the caller's to topology_rail_map_delete; it does not refer to topology.
 * Else, with one line for a person in reason_out:
 * CKPT_ERR_CONFIG  the override is not of the form, or names what the node does not have; the
 *                  reason names what it has
 * CKPT_ERR_MEMORY  out of memory */
enum ckpt_status topology_rails_choose(const struct topology *topology, const char *override,
                                       struct topology_rail_map **map_out, char *reason_out,
                                       size_t reason_size);

/* Frees it and sets *map to NULL; *map may be NULL. */
void topology_rail_map_delete(struct topology_rail_map **map);

/* Whether any memory has a rail. */
bool topology_rail_map_has_any(const struct topology_rail_map *map);

#endif
