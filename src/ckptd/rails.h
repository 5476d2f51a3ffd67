/* SPDX-License-Identifier: Apache-2.0 */
/* Which transport the agent opens, over which rails, and where its memory and threads belong: the
 * configuration and the node's topology, brought together once at start. */
#ifndef CKPT_CKPTD_RAILS_H
#define CKPT_CKPTD_RAILS_H

#include <ckpt/status.h>

#include "mover/rails.h"

struct topology;

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

#endif
