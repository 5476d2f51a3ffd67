/* SPDX-License-Identifier: Apache-2.0 */
/* What copies on nodes that are to go count for. */
#ifndef CKPT_COORDINATOR_DRAIN_RULE_H
#define CKPT_COORDINATOR_DRAIN_RULE_H

#include "coordinator/state.h"

/* Copies on nodes that drain do not count for the shard. */
bool coordinator_drain_applies(const struct coordinator *c, const struct shard *s);
/* It is to be let go when its shard has others. */
bool coordinator_copy_leaves(const struct coordinator *c, const struct shard *s,
                             const struct copy *copy);

#endif
