/* SPDX-License-Identifier: Apache-2.0 */
/* Which transport the agent opens, over which rails, and where its memory and threads belong: the
 * configuration and the node's topology, brought together once at start. */
#ifndef CKPT_CKPTD_RAILS_H
#define CKPT_CKPTD_RAILS_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <ckpt/status.h>

#include "base/limits.h"

struct topology;

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

/* What the configuration says. */
struct rails_wish {
    const char *spec;    /* "auto", "verbs", "verbs:mlx5_0", or any other transport's */
    const char *devices; /* or NULL */
    const char *rails;   /* "auto", ports ("mlx5_0+mlx5_1"), or an override of the topology room */
    const int *arena_nodes; /* the arena's NUMA nodes, where the configuration names them */
    uint32_t arena_count;
};

/* Reads this machine where the spec wants rails (auto, verbs), and logs the choice.
 * RETURN VALUE CKPT_ERR_CONFIG: rails make no sense for that spec, or name what the node does not
 * have; one line for a person in reason (CKPT_REASON_MAX + 1 bytes). With `auto` a topology that
 * cannot be read is no error: all ports are used then. */
enum ckpt_status rails_choose(const struct rails_wish *wish, struct rails *rails_out, char *reason);

/* The same on a topology that was read before. Logs nothing. */
enum ckpt_status rails_choose_on(const struct topology *topology, const struct rails_wish *wish,
                                 struct rails *rails_out, char *reason);

/* The ports near the memory of a NUMA node (-1: not bound); NULL: none is nearer than others. */
const char *rails_near(const struct rails *rails, int node);

/* Binds the calling thread. cpus may be empty, or out of our reach: then nothing is done. */
void rails_bind_thread(const cpu_set_t *cpus);

#endif
