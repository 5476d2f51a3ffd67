/* SPDX-License-Identifier: Apache-2.0 */
/* Which copy of a shard may go: one that nobody uses, and of these the one that is missed least. */
#include "coordinator/surplus.h"

#include <assert.h>

#include "coordinator/drain_rule.h"
#include "coordinator/home.h"
#include "coordinator/redundancy.h"
#include "coordinator/restore_state.h"

#define WORD_RESENDS 10 /* for so many times resend an agent's word that it is in use is taken */

struct copy *coordinator_shard_leaving(const struct coordinator *c, struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (copy_is_good(s, &s->copies[i]) && coordinator_copy_leaves(c, s, &s->copies[i])) {
            return &s->copies[i];
        }
    }
    return NULL;
}

bool coordinator_shard_is_read_from(const struct shard *s, uint32_t member)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->order_kind == ORDER_PULL && source_is_at(&copy->source, member)) {
            return true;
        }
    }
    return false;
}

bool coordinator_shard_is_pulled(const struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->member != NONE && copy->order_kind == ORDER_PULL &&
            copy->purpose == PULL_REPLICATE) {
            return true;
        }
    }
    return false;
}

/* How much a copy that is one too many is wanted all the same: where the shard belongs, and the
 * owner's most of all. */
static uint32_t worth(const struct coordinator *c, const struct shard *s, const struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    return coordinator_copy_leaves(c, s, copy)
               ? 0
               : 1 + (copy->owner ? 2u : 0u) + coordinator_shard_is_home(c, s, copy->member);
}

/* It was asked for by a rank that restores it. One that is to go is so no longer when its load has
 * ended, and nobody has asked for a while: what the rank has mapped, its agent knows. */
static bool is_loaded(const struct coordinator *c, const struct shard *s, const struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    const struct run *run = &c->runs[k->run];
    if (s->load_state == LOAD_NONE || s->load_member != copy->member) {
        return false;
    }
    return !coordinator_copy_leaves(c, s, copy) || coordinator_restore_waits(&run->restore) ||
           coordinator_restore_uses(c, k) ||
           c->now_ms < run->restore.asked_ms + WORD_RESENDS * (uint64_t)c->config.resend_ms;
}

bool coordinator_copy_is_idle(const struct coordinator *c, const struct shard *s,
                              const struct copy *copy)
{
    assert(s->used);
    bool was_kept = copy->kept_ms > 0 &&
                    c->now_ms < copy->kept_ms + WORD_RESENDS * (uint64_t)c->config.resend_ms;
    return copy_is_good(s, copy) && copy->order_kind == ORDER_NONE && !is_loaded(c, s, copy) &&
           !was_kept && !coordinator_shard_is_read_from(s, copy->member);
}

struct copy *coordinator_shard_surplus(const struct coordinator *c, struct shard *s)
{
    struct copy *least = NULL;
    if (!coordinator_redundancy_is_exceeded(c, s)) {
        return NULL;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (coordinator_copy_is_idle(c, s, copy) && coordinator_redundancy_spares(c, s, copy) &&
            (least == NULL || worth(c, s, copy) < worth(c, s, least))) {
            least = copy;
        }
    }
    return least;
}
