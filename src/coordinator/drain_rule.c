/* SPDX-License-Identifier: Apache-2.0 */
/* What copies on nodes that are to go count for. */
#include "coordinator/drain_rule.h"

#include "base/planted_bug.h"

bool coordinator_drain_applies(const struct coordinator *c, const struct shard *s)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    if (PLANTED_BUG(DRAIN_HOLDS_SAVES)) {
        return c->drains > 0;
    }
    return c->drains > 0 && !c->drains_short && c->domains_open >= k->copies &&
           !(k->makes_do && checkpoint_is_open(k));
}

bool coordinator_copy_leaves(const struct coordinator *c, const struct shard *s,
                             const struct copy *copy)
{
    return copy->leaves ||
           (c->drains > 0 && c->places[copy->member].last && coordinator_drain_applies(c, s));
}
