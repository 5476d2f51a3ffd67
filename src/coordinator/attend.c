/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard needs next: more copies, a digest, or nothing.
 *
 * A shard comes here whenever something about it changed. It is looked at as it is now, so it does
 * not matter what changed or how often. What can't be had now (no domain, no room, a holder that
 * just failed) parks it until the next round. */
#include "coordinator/attend.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/checkpoint.h"
#include "coordinator/copy.h"
#include "coordinator/drain_rule.h"
#include "coordinator/fit.h"
#include "coordinator/order.h"
#include "coordinator/place.h"
#include "coordinator/queue.h"
#include "coordinator/redundancy.h"
#include "coordinator/repair.h"
#include "coordinator/room.h"
#include "coordinator/surplus.h"
#include "coordinator/update.h"

/* Nobody has room: whoever would have been chosen is to get some, for what is being saved and for
 * the newest of what was. */
static void ask_for_room(struct coordinator *c, struct shard *s, const struct holders *h,
                         enum ckpt_status status)
{
    assert(h->taken_count + h->avoid_count <= COORDINATOR_COPIES_MAX);
    assert(s->used);
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    const struct run *run = &c->runs[k->run];
    uint32_t member;
    if (status == CKPT_ERR_FULL && (checkpoint_is_open(k) || k->step == run->latest) &&
        coordinator_place_choose_full(c, s, h, &member) == CKPT_OK) {
        uint64_t bytes = coordinator_shard_room(c, s, member);
        if (!coordinator_make_room(c, member, run, bytes)) {
            coordinator_make_room_for_first(c, member, k, bytes * (k->world - k->ready));
        }
    }
}

/* What the abort says, if it comes to that; over when a copy is ordered again. What was committed
 * is never aborted, and what it lacks is seen as it is (degree.c). */
static void note_trouble(struct checkpoint *k, const struct shard *s, enum ckpt_status status)
{
    assert(k->used);
    assert(s->used);
    if (!checkpoint_is_open(k)) {
        return;
    }
    k->status = status;
    k->reason[0] = '\0';
    if (status != CKPT_OK) {
        reason_set(k->reason, "rank %u: %s", s->rank,
                   status == CKPT_ERR_NO_DOMAIN
                       ? "too few failure domains are alive for the copies asked for"
                       : "no agent in another failure domain has room, or the only one failed");
    }
}

/* Orders one more copy. False: nothing can be done now. */
static bool order_copy(struct coordinator *c, struct shard *s, const struct holders *h)
{
    assert(h->taken_count + h->avoid_count <= COORDINATOR_COPIES_MAX);
    assert(s->used);
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct source source = coordinator_shard_source(c, s, NONE);
    uint32_t member;
    if (source.kind == SOURCE_NONE) {
        return false;
    }
    enum ckpt_status status = coordinator_place_choose(c, s, h, &member);
    if (status != CKPT_OK) {
        ask_for_room(c, s, h, status);
        note_trouble(k, s, status);
        return false;
    }
    struct copy *there = coordinator_copy_find(s, member);
    if (there != NULL && (there->order_kind == ORDER_PULL || there->state == COPY_VERIFIED)) {
        return false; /* a cached copy on the only member left: wait until it is released */
    }
    note_trouble(k, s, CKPT_OK);
    return coordinator_order_pull(c, s, member, source, PULL_REPLICATE);
}

static void verify_copies(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (copy->member != NONE && copy->state == COPY_VERIFIED && !copy->cached &&
            copy->order_kind == ORDER_NONE) {
            coordinator_order_verify(c, s, copy);
        }
    }
    s->verify_wanted = false;
}

/* A copy that was to be let go, and is wanted after all. */
static bool call_back(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    bool called = false;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE && s->copies[i].order_kind == ORDER_LET_GO) {
            coordinator_order_stay(c, s, &s->copies[i]);
            called = true;
        }
    }
    return called;
}

/* Of nodes that are to go, and too many even though others are still to be made. */
static void let_leaving_go(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    struct copy *copy = coordinator_shard_surplus(c, s);
    while (copy != NULL && coordinator_copy_leaves(c, s, copy) &&
           coordinator_update_has_room(c, 1) && coordinator_shard_record_homes(c, s, copy)) {
        coordinator_order_let_go(c, s, copy);
        coordinator_shard_refresh(c, s);
        copy = coordinator_shard_surplus(c, s);
    }
}

/* What was committed, and has too few copies or too many. */
static void attend_committed(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    struct copy *leaving = coordinator_shard_leaving(c, s);
    struct holders h;
    enum redundancy next = coordinator_redundancy_next(c, s, &h);
    if (next == REDUNDANCY_MET) {
        bool done = coordinator_shard_let_surplus_go(c, s);
        if (done && leaving != NULL) {
            leaving->leaves = false;
        }
        if (!done || coordinator_redundancy_is_exceeded(c, s)) {
            coordinator_queue_park(c, s); /* what is in use goes later, and nobody says when */
        }
        return;
    }
    if (next == REDUNDANCY_SHORT && call_back(c, s)) {
        next = coordinator_redundancy_next(c, s, &h);
    }
    while (next == REDUNDANCY_SHORT) {
        if (h.taken_count == COORDINATOR_COPIES_MAX || !coordinator_repair_is_due(c, s, &h) ||
            !order_copy(c, s, &h)) {
            if (leaving != NULL) {
                leaving->leaves = false; /* whoever has need of its memory asks again */
                let_leaving_go(c, s);
            }
            coordinator_queue_park(c, s);
            return;
        }
        next = coordinator_redundancy_next(c, s, &h);
    }
}

static void attend(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    if (!checkpoint_is_open(k) && !checkpoint_is_committed(k)) {
        return;
    }
    if (s->verify_wanted) {
        verify_copies(c, s);
    }
    if (checkpoint_is_committed(k)) {
        attend_committed(c, s);
        return;
    }
    if (!s->sealed) {
        return;
    }
    if (coordinator_shard_source(c, s, NONE).kind == SOURCE_NONE) {
        coordinator_checkpoint_abort(c, k, CKPT_ERR_LOST, "rank %u: the node that saved it is gone",
                                     s->rank);
        return;
    }
    struct holders h;
    while (coordinator_redundancy_next(c, s, &h) == REDUNDANCY_SHORT) {
        if (h.taken_count == COORDINATOR_COPIES_MAX || !order_copy(c, s, &h)) {
            coordinator_queue_park(c, s);
            return;
        }
    }
}

/* As many as one turn may look at, also when there is nothing to say of any: what waits for room or
 * for time may be all that a large cluster has. The next turn goes on. */
#define LOOKS 1024

void coordinator_attend(struct coordinator *c)
{
    for (uint32_t looks = 0;
         looks < LOOKS && c->update->record_count < COORDINATOR_RECORDS_MAX / 2 &&
         coordinator_update_has_room(c, COORDINATOR_COPIES_MAX + CKPT_COPIES_MAX);
         looks++) {
        struct shard *s = coordinator_queue_pop(c);
        if (s == NULL) {
            return;
        }
        attend(c, s);
    }
}
