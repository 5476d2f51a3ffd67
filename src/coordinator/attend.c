/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard needs next: more copies, a digest, or nothing.
 *
 * A shard comes here whenever something about it changed. It is looked at as it is now, so it does
 * not matter what changed or how often. What can't be had now (no domain, no room, a holder that
 * just failed) parks it until the next round. */
#include "coordinator/attend.h"

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
#include "coordinator/update.h"

/* Nobody has room: whoever would have been chosen is to get some, for what is being saved and for
 * the newest of what was. */
static void ask_for_room(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                         const struct holders *h, enum ckpt_status status)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    const struct run *run = &c->runs[k->run];
    uint32_t member;
    if (status == CKPT_ERR_FULL && (checkpoint_is_open(k) || k->step == run->latest) &&
        place_choose_full(c, s, h, &member) == CKPT_OK) {
        uint64_t bytes = shard_room(c, s, member);
        if (!make_room(c, u, member, run, bytes)) {
            make_room_for_first(c, u, member, k, bytes * (k->world - k->ready));
        }
    }
}

/* What the abort says, if it comes to that; over when a copy is ordered again. What was committed
 * is never aborted, and what it lacks is seen as it is (degree.c). */
static void note_trouble(struct checkpoint *k, const struct shard *s, enum ckpt_status status)
{
    if (!checkpoint_is_open(k)) {
        return;
    }
    k->status = status;
    k->reason[0] = '\0';
    if (status != CKPT_OK) {
        say(k->reason, "rank %u: %s", s->rank,
            status == CKPT_ERR_NO_DOMAIN
                ? "too few failure domains are alive for the copies asked for"
                : "no agent in another failure domain has room, or the only one failed");
    }
}

/* Orders one more copy. False: nothing can be done now. */
static bool order_copy(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                       const struct holders *h)
{
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct copy *source = shard_source(c, s, NONE);
    uint32_t member;
    if (source == NULL) {
        return false;
    }
    enum ckpt_status status = place_choose(c, s, h, &member);
    if (status != CKPT_OK) {
        ask_for_room(c, u, s, h, status);
        note_trouble(k, s, status);
        return false;
    }
    struct copy *there = copy_find(s, member);
    if (there != NULL && (there->order_kind == ORDER_PULL || there->state == COPY_VERIFIED)) {
        return false; /* a cached copy on the only member left: wait until it is released */
    }
    note_trouble(k, s, CKPT_OK);
    return order_pull(c, u, s, member, source, PULL_REPLICATE);
}

static void verify_copies(struct coordinator *c, struct coordinator_update *u, struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (copy->member != NONE && copy->state == COPY_VERIFIED && !copy->cached &&
            copy->order_kind == ORDER_NONE) {
            order_verify(c, u, s, copy);
        }
    }
    s->verify_wanted = false;
}

/* A copy that was to be let go, and is wanted after all. */
static bool call_back(struct coordinator *c, struct coordinator_update *u, struct shard *s)
{
    bool called = false;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE && s->copies[i].order_kind == ORDER_LET_GO) {
            order_stay(c, u, s, &s->copies[i]);
            called = true;
        }
    }
    return called;
}

/* Of nodes that are to go, and too many even though others are still to be made. */
static void let_leaving_go(struct coordinator *c, struct coordinator_update *u, struct shard *s)
{
    struct copy *copy = shard_surplus(c, s);
    while (copy != NULL && copy_leaves(c, s, copy) && update_has_room(u, 1) &&
           shard_record_homes(c, u, s, copy)) {
        order_let_go(c, u, s, copy);
        shard_refresh(c, s);
        copy = shard_surplus(c, s);
    }
}

/* What was committed, and has too few copies or too many. */
static void attend_committed(struct coordinator *c, struct coordinator_update *u, struct shard *s)
{
    struct copy *leaving = shard_leaving(c, s);
    if (shard_has_copies(c, s) && (leaving == NULL || shard_has_copies_apart(c, s))) {
        if (!shard_let_surplus_go(c, u, s)) {
            park(c, s);
        } else if (leaving != NULL) {
            leaving->leaves = false;
        }
        return;
    }
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    struct holders h = shard_holders(c, s);
    uint32_t copies = c->checkpoints[s->checkpoint].copies;
    if (placement_domains(&map, h.taken, h.taken_count) < copies && call_back(c, u, s)) {
        h = shard_holders(c, s);
    }
    while (placement_domains(&map, h.taken, h.taken_count) < copies) {
        if (h.taken_count == COORDINATOR_COPIES_MAX || !repair_is_due(c, s, &h) ||
            !order_copy(c, u, s, &h)) {
            if (leaving != NULL) {
                leaving->leaves = false; /* whoever has need of its memory asks again */
                let_leaving_go(c, u, s);
            }
            park(c, s);
            return;
        }
        h = shard_holders(c, s);
    }
}

static void attend(struct coordinator *c, struct coordinator_update *u, struct shard *s)
{
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    if (!checkpoint_is_open(k) && !checkpoint_is_committed(k)) {
        return;
    }
    if (s->verify_wanted) {
        verify_copies(c, u, s);
    }
    if (checkpoint_is_committed(k)) {
        attend_committed(c, u, s);
        return;
    }
    if (!s->sealed) {
        return;
    }
    if (shard_source(c, s, NONE) == NULL) {
        checkpoint_abort(c, u, k, CKPT_ERR_LOST, "rank %u: the node that saved it is gone",
                         s->rank);
        return;
    }
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    struct holders h = shard_holders(c, s);
    while (placement_domains(&map, h.taken, h.taken_count) < k->copies) {
        if (h.taken_count == COORDINATOR_COPIES_MAX || !order_copy(c, u, s, &h)) {
            park(c, s);
            return;
        }
        h = shard_holders(c, s);
    }
}

/* As many as one turn may look at, also when there is nothing to say of any: what waits for room or
 * for time may be all that a large cluster has. The next turn goes on. */
#define LOOKS 1024

void attend_queue(struct coordinator *c, struct coordinator_update *u)
{
    for (uint32_t looks = 0; looks < LOOKS && u->record_count < COORDINATOR_RECORDS_MAX / 2 &&
                             update_has_room(u, COORDINATOR_COPIES_MAX + CKPT_COPIES_MAX);
         looks++) {
        struct shard *s = queue_pop(c);
        if (s == NULL) {
            return;
        }
        attend(c, u, s);
    }
}
