/* SPDX-License-Identifier: Apache-2.0 */
/* How far a checkpoint has come on its way to the tier.
 *
 *   NONE --chosen--> SHARDS --each is durable--> MANIFEST --it is, and on record--> DONE
 *     ^               |  ^--the tier has not what was told of--'|
 *     '---given up----'-----------------------------------------'
 *
 * One of a run at a time. Shards that are there already when it is given up stay there, without a
 * manifest, which makes them nothing. */
#include "coordinator/persist_state.h"

#include <assert.h>

#include "coordinator/persist_order.h"

static const unsigned moves[] = {
    [PERSIST_NONE] = TO(PERSIST_SHARDS),
    [PERSIST_SHARDS] = TO(PERSIST_SHARDS) | TO(PERSIST_MANIFEST) | TO(PERSIST_NONE),
    [PERSIST_MANIFEST] = TO(PERSIST_DONE) | TO(PERSIST_SHARDS) | TO(PERSIST_NONE),
};

void coordinator_persist_move(struct checkpoint *k, enum persist_state to)
{
    assert(k->used);
    assert(MAY_MOVE(moves, k->persist, to));
    k->persist = (uint8_t)to;
}

void coordinator_persist_begin(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used && k->state == CHECKPOINT_CONSISTENT && k->shards == k->world);
    coordinator_persist_orders_drop_checkpoint(c, k);
    coordinator_persist_move(k, PERSIST_SHARDS);
    c->runs[k->run].persisting = checkpoint_index(c, k);
    k->persist_left = k->world;
    k->persist_next = k->first_shard;
    k->persist_last_ms = c->now_ms;
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        c->shards[i].persisted = false;
    }
}

void coordinator_persist_give_up(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    if (k->persist != PERSIST_SHARDS && k->persist != PERSIST_MANIFEST) {
        return;
    }
    assert(c->runs[k->run].persisting == checkpoint_index(c, k));
    coordinator_persist_orders_drop_checkpoint(c, k);
    coordinator_persist_move(k, PERSIST_NONE);
    c->runs[k->run].persisting = NONE;
    k->persist_tries = 0;
}

bool coordinator_persist_holds(const struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    return (k->persist == PERSIST_SHARDS || k->persist == PERSIST_MANIFEST) && !c->tier.is_stopped;
}
