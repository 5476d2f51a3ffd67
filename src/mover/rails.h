/* SPDX-License-Identifier: Apache-2.0 */
/* Which transport the agent opens, over which rails, and where its memory and threads belong. */
#ifndef CKPT_MOVER_RAILS_H
#define CKPT_MOVER_RAILS_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

/* What a transport's spec or list of devices may hold; the transport takes fewer ports still. */
#define RAILS_TEXT_MAX 511

/* The ports near one NUMA node, as transport_memory.near takes them. */
struct rails_node {
    int os_index;
    char ports[RAILS_TEXT_MAX + 1]; /* "mlx5_0+mlx5_1"; "" for none */
};

struct rails {
    char spec[RAILS_TEXT_MAX + 1]; /* for transport_open() */
    const char *fallback;          /* the spec when that one cannot be opened; NULL: none */
    bool lenient;        /* ports were chosen, not named: what is not usable is left out */
    uint32_t node_count; /* 0: no topology was asked for */
    struct rails_node nodes[CKPT_NUMA_NODES_MAX];
    uint32_t arena_count; /* 0: leave the arena where it falls */
    int arena_nodes[CKPT_NUMA_NODES_MAX];
    cpu_set_t mover_cpus, digest_cpus; /* empty: leave the thread where it is */
};

/* The ports near the memory of a NUMA node (-1: not bound); NULL: none is nearer than others. */
const char *rails_near(const struct rails *rails, int node);

/* Binds the calling thread. cpus may be empty, or out of our reach: then nothing is done. */
void rails_bind_thread(const cpu_set_t *cpus);

#endif
