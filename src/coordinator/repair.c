/* SPDX-License-Identifier: Apache-2.0 */
/* What was committed converges to as many good copies as its run asked for, in distinct domains.
 *
 * Too few: a copy that is away may be back at any moment, and to make another costs a node's
 * network and memory. So repair waits until absence has lasted: restore_settle after a
 * coordinator's start, repair_after after a loss; what is known to be gone (its agent lives and
 * does not have it, or its bytes differ) is repaired at once. A repair that is under way when the
 * copy is back is called off.
 * Too many: the one missed least is let go, unless its agent says that it is in use. */
#include "coordinator/repair.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/planted_bug.h"
#include "coordinator/home.h"
#include "coordinator/order.h"
#include "coordinator/redundancy.h"
#include "coordinator/surplus.h"
#include "coordinator/update.h"

/* An agent that is there and does not get to say all that it holds in so many times restore_settle
 * is not waited for. */
#define TELLING_SETTLES 10

static bool is_taken(const struct holders *h, uint32_t member)
{
    assert(h->taken_count + h->avoid_count <= COORDINATOR_COPIES_MAX);
    for (uint32_t i = 0; i < h->taken_count; i++) {
        if (h->taken[i] == member) {
            return true;
        }
    }
    return false;
}

/* Until when a copy of this home that is not known of may still turn up. */
static uint64_t home_due_ms(const struct coordinator *c, const struct home *home)
{
    assert(home->shards > 0);
    if (PLANTED_BUG(NO_SETTLE) && !(home->seen && home->member == NONE)) {
        return 0;
    }
    if (home->member != NONE) { /* it tells what it holds, and says when that is all */
        const struct member *m = &c->members[home->member];
        bool says = (m->features & WIRE_FEATURE_ROOM) != 0;
        return m->joined_ms + (says ? TELLING_SETTLES : 1) * (uint64_t)c->config.restore_settle_ms;
    }
    return home->seen ? home->away_since_ms + c->config.repair_after_ms
                      : c->started_ms + c->config.restore_settle_ms;
}

bool coordinator_repair_is_due(const struct coordinator *c, const struct shard *s,
                               const struct holders *h)
{
    assert(h->taken_count + h->avoid_count <= COORDINATOR_COPIES_MAX);
    assert(s->used);
    if (PLANTED_BUG(REPAIR_AT_ONCE)) {
        return true;
    }
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        const struct home *home = s->homes[i] == NONE ? NULL : &c->homes[s->homes[i]];
        if (home != NULL && !coordinator_home_is_heard(c, home) &&
            (home->member == NONE || !is_taken(h, home->member)) &&
            c->now_ms < home_due_ms(c, home)) {
            return false;
        }
    }
    return coordinator_shard_has_homes(s) || PLANTED_BUG(NO_SETTLE) ||
           c->now_ms >= c->started_ms + c->config.restore_settle_ms;
}

/* Whether the homes are where the good copies are. */
static bool homes_are_right(const struct coordinator *c, const struct shard *s,
                            const struct copy *without)
{
    assert(s->used);
    uint32_t good = 0;
    uint32_t homes = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy != without && copy_is_good(s, copy)) {
            good++;
            if (!coordinator_shard_is_home(c, s, copy->member)) {
                return false;
            }
        }
    }
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        homes += s->homes[i] != NONE;
    }
    return good == homes;
}

void coordinator_shard_write_homes(struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct coordinator_record *record = coordinator_update_record(c, RECORD_HOLDERS);
    record->run = c->runs[k->run].key;
    record->attempt = k->attempt;
    record->step = k->step;
    record->bytes = s->rank;
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (s->homes[i] != NONE) {
            size_t used = strlen(record->reason);
            snprintf(record->reason + used, sizeof record->reason - used, "%s%s",
                     used > 0 ? " " : "", c->homes[s->homes[i]].node);
        }
    }
}

bool coordinator_shard_record_homes(struct coordinator *c, struct shard *s,
                                    const struct copy *without)
{
    assert(s->used);
    if (!coordinator_shard_has_homes(s) || homes_are_right(c, s, without)) {
        return true;
    }
    if (c->update->record_count >= COORDINATOR_RECORDS_MAX / 2) {
        c->update->again = true;
        return false;
    }
    coordinator_shard_set_homes_as_held(c, s, without);
    coordinator_shard_write_homes(c, s);
    return true;
}

static void call_pulls_off(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        bool is_loaded = s->load_state != LOAD_NONE && s->load_member == copy->member;
        if (copy->member != NONE && copy->order_kind == ORDER_PULL &&
            copy->purpose == PULL_REPLICATE && !is_loaded) {
            coordinator_order_call_off(c, s, copy);
        }
    }
}

bool coordinator_shard_let_surplus_go(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    struct copy *copy;
    call_pulls_off(c, s);
    while (!PLANTED_BUG(NEVER_TRIM) && (copy = coordinator_shard_surplus(c, s)) != NULL) {
        if (!coordinator_update_has_room(c, 1) || !coordinator_shard_record_homes(c, s, copy)) {
            c->update->again = true;
            return false;
        }
        coordinator_order_let_go(c, s, copy);
        coordinator_shard_refresh(c, s);
    }
    return coordinator_shard_record_homes(c, s, NULL);
}
