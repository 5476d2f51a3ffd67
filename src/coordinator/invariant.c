/* SPDX-License-Identifier: Apache-2.0 */
/* What holds after every event. It costs the same however full the tables are: what the turn
 * touched is looked at, and one entry more, each in its turn, so that also what nobody
 * touches is seen within some thousand turns. With invariant_full all of it every turn; the
 * simulator's judges re-read everything besides. */
#include "coordinator/invariant.h"

#include <assert.h>

#include "coordinator/copy.h"
#include "coordinator/redundancy.h"
#include "coordinator/restore_state.h"

#define SAMPLE 1 /* checkpoints a turn */

static void check_run(const struct coordinator *c, uint32_t place)
{
    const struct run *run = &c->runs[place];
    const struct restore *restore = &run->restore;
    if (!run->used) {
        assert(!index_set_has(&c->runs_loading, place) && !index_set_has(&c->runs_ended, place));
        return;
    }
    assert(place < c->runs_high && !index_set_has(&c->runs_free, place));
    assert(restore->state != RESTORE_PULLING || restore->checkpoint != NONE);
    assert(restore->checkpoint == NONE || restore->state == RESTORE_NONE ||
           c->checkpoints[restore->checkpoint].used);
    assert(restore->state != RESTORE_PULLING || restore->ready <= restore->world);
    assert(!coordinator_restore_waits(restore) || index_set_has(&c->runs_loading, place));
    assert(run->job.ended == index_set_has(&c->runs_ended, place));
    assert(run->digest_key.kind == DIGEST_KIND_BLAKE3 ||
           (run->digest_key.kind == DIGEST_KIND_FINGERPRINT && c->has_keys));
    assert((run->digest_key.kind == DIGEST_KIND_BLAKE3) ==
           (run->digest_key_id == DIGEST_KEY_ID_BLAKE3));
}

static void check_checkpoint(const struct coordinator *c, uint32_t place)
{
    const struct checkpoint *k = &c->checkpoints[place];
    assert(index_set_has(&c->checkpoints_open, place) == (k->used && checkpoint_is_open(k)));
    assert(index_set_has(&c->checkpoints_aborted, place) ==
           (k->used && k->state == CHECKPOINT_ABORTED));
    assert(index_set_has(&c->checkpoints_free, place) == !k->used);
    if (!k->used) {
        return;
    }
    const struct run *run = &c->runs[k->run];
    assert(run->used);
    assert(k->sealed <= k->shards && k->shards <= k->world);
    assert(k->ready <= k->sealed);
    assert(k->state != CHECKPOINT_VERIFYING || k->sealed == k->world);
    assert(!checkpoint_is_committed(k) || k->shards == k->world);
    assert(k->state != CHECKPOINT_CONSISTENT || (run->has_latest && k->step <= run->latest));
    assert(k->state != CHECKPOINT_ABORTED || (k->shards == 0 && k->status != CKPT_OK));
    assert(k->attempt <= run->attempt);
    if (k->next_in_run != NONE) {
        const struct checkpoint *next = &c->checkpoints[k->next_in_run];
        assert(next->used && next->run == k->run && next->step <= k->step);
    }
    check_run(c, k->run);
}

/* Of one order at most, which is about this copy as it is. */
static void check_order(const struct coordinator *c, const struct copy *copy)
{
    switch ((enum order_kind)copy->order_kind) {
    case ORDER_NONE:
        return;
    case ORDER_PULL:
        assert(copy->state != COPY_VERIFIED && !copy->bad);
        assert(copy->source.kind == SOURCE_COPY && copy->source.member != copy->member);
        break;
    case ORDER_VERIFY:
        break;
    case ORDER_LET_GO:
        assert(copy->state == COPY_VERIFIED && !copy->called_back);
        break;
    }
    assert(copy->order != 0 && copy->order < c->next_order && copy->ordered_ms <= c->now_ms);
}

/* Each member has one copy of it at most, and each order is about one copy. */
static void check_copies(const struct coordinator *c, const struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->member == NONE) {
            assert(copy->order_kind == ORDER_NONE && copy->state == COPY_NONE);
            continue;
        }
        assert(c->members[copy->member].state == MEMBER_JOINED);
        assert(copy->state != COPY_VERIFIED || copy->has_digest);
        check_order(c, copy);
        for (uint32_t j = 0; j < i; j++) {
            const struct copy *other = &s->copies[j];
            assert(other->member != copy->member);
            assert(other->order_kind == ORDER_NONE || copy->order_kind == ORDER_NONE ||
                   other->order != copy->order);
        }
    }
}

/* The checkpoint's counters, counted anew. */
static void check_shards(const struct coordinator *c, const struct checkpoint *k)
{
    uint32_t shards = 0, sealed = 0, ready = 0;
    uint64_t bytes = 0;
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        const struct shard *s = &c->shards[i];
        assert(s->used && s->checkpoint == checkpoint_index(c, k) && s->rank < k->world);
        assert(!s->queued || !s->parked);
        assert(s->ready == (s->sealed && coordinator_redundancy_is_met(c, s)));
        shards++;
        sealed += s->sealed;
        ready += s->ready;
        bytes += s->sealed ? s->bytes : 0;
        check_copies(c, s);
    }
    assert(shards == k->shards && sealed == k->sealed && ready == k->ready);
    assert(!checkpoint_is_open(k) || bytes == k->bytes);
}

/* The member's counters, counted anew; what its copies weigh, of one member a turn. */
static void check_member(struct coordinator *c, uint32_t member, bool weighs)
{
    const struct member *m = &c->members[member];
    uint32_t verified = 0, orders = 0, pulls = 0;
    uint64_t inventory = 0;
    uint32_t previous = NONE;
    for (uint32_t i = m->first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = coordinator_copy_shard(c, i, &copy);
        assert(s->used && copy->member == member && copy->previous == previous);
        assert(!weighs || copy->weight == coordinator_copy_weight(c, s, copy));
        verified += copy->state == COPY_VERIFIED;
        orders += copy->order_kind != ORDER_NONE;
        pulls += copy->order_kind == ORDER_PULL;
        inventory += copy->weight;
        previous = i;
        i = copy->next;
    }
    assert(verified == m->copies_verified && orders == m->orders && pulls == m->pulls);
    assert(inventory == m->inventory);
    assert(m->state == MEMBER_JOINED || (m->first_copy == NONE && !m->connected));
    assert((m->state == MEMBER_LOST) == index_set_has(&c->members_lost, member));
}

static void check_members(struct coordinator *c)
{
    if (c->member_count == 0) {
        return;
    }
    c->sample_member = (c->sample_member + 1) % c->member_count;
    for (uint32_t i = 0; i < c->member_count; i++) {
        check_member(c, i, i == c->sample_member);
    }
}

/* Each order for the tier is to a joined member and of what is on its way there. */
static void check_persists(const struct coordinator *c)
{
    uint32_t orders = 0;
    for (uint32_t i = 0; i < c->persist_orders_high; i++) {
        const struct persist_order *order = &c->persist_orders[i];
        if (order->order == 0) {
            continue;
        }
        const struct checkpoint *k = &c->checkpoints[order->checkpoint];
        orders++;
        assert(order->order < c->next_order && order->ordered_ms <= c->now_ms);
        assert(c->members[order->member].state == MEMBER_JOINED);
        assert(k->used && k->state == CHECKPOINT_CONSISTENT);
        assert(k->persist == (order->shard != NONE ? PERSIST_SHARDS : PERSIST_MANIFEST));
        if (order->shard != NONE) {
            const struct shard *s = &c->shards[order->shard];
            assert(s->used && s->checkpoint == order->checkpoint);
            assert(s->persist_ordered && !s->persisted);
        }
    }
    assert(orders == c->persist_order_count);
    for (uint32_t i = 0; i < c->member_count; i++) {
        assert(c->members[i].persists <= PERSISTS_PER_AGENT);
        orders -= c->members[i].persists;
    }
    assert(orders == 0);
}

/* The run's is the one that is on its way, and has as many left as are not there. */
static void check_persisting(const struct coordinator *c, const struct checkpoint *k)
{
    bool is_under_way = k->persist == PERSIST_SHARDS || k->persist == PERSIST_MANIFEST;
    uint32_t left = 0;
    assert(is_under_way == (c->runs[k->run].persisting == checkpoint_index(c, k)));
    assert(k->persist != PERSIST_MANIFEST || k->persist_left == 0);
    for (uint32_t i = k->first_shard; is_under_way && i != NONE;
         i = c->shards[i].next_in_checkpoint) {
        left += !c->shards[i].persisted;
    }
    assert(!is_under_way || left == k->persist_left);
}

/* What may be chosen, counted anew. */
static void check_drains(const struct coordinator *c)
{
    uint32_t drains = 0;
    uint32_t open = 0;
    for (uint32_t i = 0; i < c->member_count; i++) {
        const struct member *m = &c->members[i];
        const struct placement_member *place = &c->places[i];
        assert(place->usable == (m->state == MEMBER_JOINED));
        assert(!place->usable || place->closed == (m->closed != AGENT_OPEN));
        assert(!place->usable || place->last == m->draining);
        drains += place->usable && place->last;
    }
    for (uint32_t i = 0; i < c->domain_count; i++) {
        open += c->domain_open[i] > 0;
    }
    assert(drains == c->drains && open == c->domains_open);
}

/* Counted anew. */
static void check_holdings(const struct coordinator *c)
{
    struct holdings all = {.runs = 0};
    struct holdings users = {.runs = 0};
    for (uint32_t i = 0; i < c->runs_high; i++) {
        all.runs += c->runs[i].used;
        assert(!c->runs[i].used || c->users[c->runs[i].user].uid == c->runs[i].key.uid);
    }
    for (uint32_t i = 0; i < c->checkpoints_high; i++) {
        const struct checkpoint *k = &c->checkpoints[i];
        bool counts = k->used && k->state != CHECKPOINT_ABORTED;
        all.checkpoints += counts;
        all.shards += counts ? k->world : 0;
    }
    for (uint32_t i = 0; i < c->users_high; i++) {
        bool is_free = index_set_has(&c->users_free, i);
        users.runs += is_free ? 0 : c->users[i].runs;
        users.checkpoints += is_free ? 0 : c->users[i].checkpoints;
        users.shards += is_free ? 0 : c->users[i].shards;
    }
    assert(all.runs == c->held.runs && all.runs == users.runs);
    assert(all.checkpoints == c->held.checkpoints && all.checkpoints == users.checkpoints);
    assert(all.shards == c->held.shards && all.shards == users.shards);
}

static void check_all(struct coordinator *c)
{
    for (uint32_t i = 0; i < c->checkpoints_high; i++) {
        check_checkpoint(c, i);
        if (c->checkpoints[i].used) {
            check_shards(c, &c->checkpoints[i]);
            check_persisting(c, &c->checkpoints[i]);
        }
    }
    for (uint32_t i = 0; i < c->runs_high; i++) {
        check_run(c, i);
    }
    check_members(c);
    check_persists(c);
    check_holdings(c);
    check_drains(c);
}

static void check_some(struct coordinator *c)
{
    for (uint32_t i = 0; i < c->touched_count; i++) {
        check_checkpoint(c, c->touched[i]);
    }
    for (uint32_t i = 0; i < SAMPLE && c->checkpoints_high > 0; i++) {
        c->sample_next = c->sample_next + 1 < c->checkpoints_high ? c->sample_next + 1 : 0;
        check_checkpoint(c, c->sample_next);
    }
}

void coordinator_invariant_check(struct coordinator *c)
{
    if (c->config.invariant_full) {
        check_all(c);
    } else {
        check_some(c);
    }
    assert(c->free_shards <= c->config.shards_max && c->shards_high <= c->config.shards_max);
    assert((c->queue_head == NONE) == (c->queue_tail == NONE));
}
