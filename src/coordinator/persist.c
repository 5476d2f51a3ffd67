/* SPDX-License-Identifier: Apache-2.0 */
/* What is consistent goes to the tier: each shard by one agent that has a good copy of it, then the
 * manifest by one agent, then it is on record. Nothing here is waited for by a save.
 *
 * What fails is tried again, by whoever can, later and later; an agent that is lost is not waited
 * for. A tier that is full, or does not go on, stops all of it: with one order at a time it is
 * tried until it takes one, and then all goes on. Whether bytes in the tier are those that were
 * committed, its agent proves before they get their names there; whether the tier has all of them,
 * whoever writes the manifest proves by the root. */
#include "coordinator/persist.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/planted_bug.h"
#include "base/reason.h"
#include "coordinator/announce.h"
#include "coordinator/copy.h"
#include "coordinator/digest_key.h"
#include "coordinator/note.h"
#include "coordinator/order.h"
#include "coordinator/persist_order.h"
#include "coordinator/persist_root.h"
#include "coordinator/persist_rule.h"
#include "coordinator/persist_state.h"
#include "coordinator/table.h"
#include "coordinator/trouble.h"
#include "coordinator/update.h"

#define LOOKS 256 /* shards of one checkpoint that are looked at in a turn */
#define RETRY_DOUBLINGS 5
#define RETRY_MS_MAX 30000 /* a trouble is shown for longer than that */

/* Later and later. */
static uint64_t retry_ms(const struct coordinator *c, uint32_t failures)
{
    uint64_t ms = (uint64_t)c->config.resend_ms
                  << (failures < RETRY_DOUBLINGS ? failures : RETRY_DOUBLINGS);
    return ms < RETRY_MS_MAX ? ms : RETRY_MS_MAX;
}

static void send_shard(struct coordinator *c, const struct persist_order *order,
                       const struct shard *s)
{
    assert(s->used);
    struct member *m = &c->members[order->member];
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    const struct copy *copy = coordinator_copy_find((struct shard *)s, order->member);
    struct message_persist_order *told =
        &coordinator_update_message(c, m->link, MESSAGE_PERSIST_ORDER)->persist_order;
    told->order = order->order;
    coordinator_shard_key(c, s, &told->shard);
    told->generation = copy != NULL ? copy->generation : 0; /* gone: its agent says so */
    told->world = k->world;
    told->copies = k->copies;
    told->bytes = s->bytes;
    told->digest = s->digest;
    told->key = *coordinator_key_told(c, &c->runs[k->run]);
}

static void send_manifest(struct coordinator *c, const struct persist_order *order)
{
    const struct checkpoint *k = &c->checkpoints[order->checkpoint];
    assert(k->used);
    struct message_manifest_order *told =
        &coordinator_update_message(c, c->members[order->member].link, MESSAGE_MANIFEST_ORDER)
             ->manifest_order;
    told->order = order->order;
    told->run = c->runs[k->run].key;
    told->attempt = k->attempt;
    told->step = k->step;
    told->world = k->world;
    told->copies = k->copies;
    told->bytes = k->bytes;
    told->wall_ms = k->wall_ms;
    told->mark = (enum checkpoint_mark)k->mark;
    coordinator_persist_root(c, k, &told->root);
}

static void send(struct coordinator *c, struct persist_order *order)
{
    assert(order->order != 0);
    order->ordered_ms = c->now_ms;
    if (!c->members[order->member].connected) {
        return; /* it is back soon, or lost */
    }
    if (order->shard != NONE) {
        send_shard(c, order, &c->shards[order->shard]);
    } else {
        send_manifest(c, order);
    }
}

/* Whether one more may be ordered: of a tier that was full, one at a time. */
static bool may_order(const struct coordinator *c)
{
    return coordinator_update_has_room(c, 1) &&
           (!c->tier.is_stopped || (c->now_ms >= c->tier.due_ms && c->persist_order_count == 0));
}

static void order_shards(struct coordinator *c, struct checkpoint *k)
{
    assert(k->persist == PERSIST_SHARDS);
    for (uint32_t looks = 0; looks < LOOKS && looks < k->world && may_order(c); looks++) {
        struct shard *s = &c->shards[k->persist_next];
        k->persist_next = s->next_in_checkpoint != NONE ? s->next_in_checkpoint : k->first_shard;
        struct member *m =
            s->persisted || s->persist_ordered ? NULL : coordinator_persist_member(c, s);
        if (m != NULL) {
            send(c, coordinator_persist_order_add(c, (uint32_t)(m - c->members), k, s));
        }
    }
}

/* By whoever has least to do for the tier. */
static void order_manifest(struct coordinator *c, const struct checkpoint *k)
{
    struct member *best = NULL;
    if (!may_order(c) || c->now_ms < k->persist_due_ms || coordinator_persist_is_ordered(c, k)) {
        return;
    }
    for (uint32_t i = 0; i < c->member_count; i++) {
        struct member *m = &c->members[i];
        if (coordinator_persist_may_ask(c, m) && (best == NULL || m->persists < best->persists)) {
            best = m;
        }
    }
    if (best != NULL) {
        send(c, coordinator_persist_order_add(c, (uint32_t)(best - c->members), k, NULL));
    }
}

static void record_persisted(struct coordinator *c, struct checkpoint *k)
{
    struct run *run = &c->runs[k->run];
    struct digest root;
    char hex[DIGEST_HEX_BYTES];
    coordinator_persist_root(c, k, &root);
    hex_encode(root.bytes, sizeof root.bytes, hex);
    struct coordinator_record *record = coordinator_checkpoint_record(c, k, RECORD_PERSISTED);
    reason_set(record->reason, "%s", hex);
    (void)coordinator_checkpoint_record(c, k, RECORD_LATEST_PERSISTED);
    run->has_persisted = true;
    run->persisted_attempt = k->attempt;
    run->persisted_step = k->step;
    run->persisted_ms = c->now_ms;
    run->persisting = NONE;
    coordinator_persist_move(k, PERSIST_DONE);
    coordinator_note(c, EVENT_checkpoint_persisted, about_checkpoint(c, k),
                     "all %u shards and the manifest are durable in the tier, %llu ms after it was "
                     "begun",
                     k->world, (unsigned long long)(c->now_ms - k->persist_from_ms));
}

static void go_on(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    uint32_t missing = PLANTED_BUG(MANIFEST_FIRST) && k->world > 1;
    if (k->persist == PERSIST_SHARDS && k->persist_left <= missing) {
        coordinator_persist_move(k, PERSIST_MANIFEST);
        if (PLANTED_BUG(PERSISTED_TOO_EARLY)) {
            record_persisted(c, k);
            return;
        }
    }
    if (k->persist == PERSIST_SHARDS && c->now_ms >= k->persist_due_ms) {
        order_shards(c, k);
    } else if (k->persist == PERSIST_MANIFEST) {
        order_manifest(c, k);
    }
}

/* The tier has not what agents told of it: all of it again. */
static void begin_again(struct coordinator *c, struct checkpoint *k)
{
    assert(k->persist == PERSIST_MANIFEST);
    k->persist_tries++;
    k->persist_due_ms = c->now_ms + retry_ms(c, k->persist_tries);
    coordinator_persist_begin(c, k);
}

static void on_manifest(struct coordinator *c, struct checkpoint *k, enum ckpt_status status)
{
    assert(k->persist == PERSIST_MANIFEST);
    switch ((int)status) {
    case CKPT_OK:
        record_persisted(c, k);
        break;
    case CKPT_ERR_NOT_FOUND:
    case CKPT_ERR_CORRUPT:
    case CKPT_ERR_DIGEST:
        begin_again(c, k);
        break;
    default:
        break; /* by another, or later */
    }
}

static void on_shard(struct coordinator *c, struct checkpoint *k, struct shard *s, uint32_t member,
                     const struct message_persist_told *told)
{
    assert(s->used);
    struct copy *copy = coordinator_copy_find(s, member);
    if (told->status == CKPT_OK) {
        assert(k->persist_left > 0);
        s->persisted = true;
        s->name = told->name;
        k->persist_left--;
        k->persist_last_ms = c->now_ms;
    } else if (told->status == CKPT_ERR_DIGEST && copy != NULL && copy_is_good(s, copy) &&
               copy->order_kind == ORDER_NONE && coordinator_update_has_room(c, 1)) {
        coordinator_order_verify(c, s, copy); /* it has changed since it was proven */
    }
}

/* The tier takes no more, whoever asks. */
static void tier_stops(struct coordinator *c, const struct member *m,
                       const struct message_persist_told *told)
{
    struct tier *tier = &c->tier;
    if (!tier->is_stopped) {
        tier->since_ms = c->now_ms;
        coordinator_note(c, EVENT_tier_stopped, about_node(m->node),
                         "nothing more goes to the tier until it takes it again; saves and copies "
                         "in memory go on: %.200s",
                         told->reason);
    }
    tier->is_stopped = true;
    tier->failures++;
    tier->due_ms = c->now_ms + retry_ms(c, tier->failures);
    tier->status = told->status;
    reason_set(tier->reason, "%s", told->reason);
}

static void tier_goes_on(struct coordinator *c)
{
    if (c->tier.is_stopped) {
        coordinator_note(c, EVENT_tier_goes_on, (struct about){0},
                         "the tier takes what is consistent again, after %llu s",
                         (unsigned long long)((c->now_ms - c->tier.since_ms) / 1000));
        coordinator_trouble_is_over(c, TROUBLE_TIER, "", NULL);
    }
    memset(&c->tier, 0, sizeof c->tier);
}

/* The medium's own failure, whoever asks. */
static bool is_of_tier(enum ckpt_status status)
{
    return status == CKPT_ERR_FULL || status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_DISK ||
           status == CKPT_ERR_THROTTLED;
}

static void on_failure(struct coordinator *c, struct member *m, const struct checkpoint *k,
                       const struct message_persist_told *told)
{
    assert(told->status != CKPT_OK);
    bool is_full = is_of_tier(told->status);
    bool is_passing = told->status == CKPT_ERR_BUSY || told->status == CKPT_ERR_STALE;
    m->tier_failures += !is_passing;
    m->tier_due_ms = c->now_ms + retry_ms(c, is_passing ? 0 : m->tier_failures);
    if (is_passing) {
        return;
    }
    struct trouble what = {.kind = TROUBLE_TIER, .status = told->status};
    what.shard.run = c->runs[k->run].key;
    what.shard.step = k->step;
    if (is_full) {
        tier_stops(c, m, told);
        memset(&what.shard, 0, sizeof what.shard);
    } else {
        strcpy(what.node, m->node);
    }
    (void)coordinator_trouble_happens(c, EVENT_persist_failed, &what, "node %s: %.200s", m->node,
                                      told->reason);
}

void coordinator_on_persist_told(struct coordinator *c, uint32_t member,
                                 const struct message_persist_told *told)
{
    assert(member < c->member_count);
    struct member *m = &c->members[member];
    struct persist_order *order = coordinator_persist_order_find(c, member, told->order);
    if (order == NULL) {
        return; /* answered before, or another does it by now */
    }
    struct checkpoint *k = &c->checkpoints[order->checkpoint];
    struct shard *s = order->shard != NONE ? &c->shards[order->shard] : NULL;
    coordinator_persist_order_drop(c, order);
    if (told->status == CKPT_OK) {
        m->tier_failures = 0;
        m->tier_due_ms = 0;
        tier_goes_on(c);
        coordinator_trouble_is_over(c, TROUBLE_TIER, m->node, &c->runs[k->run].key);
    } else {
        on_failure(c, m, k, told);
    }
    if (s != NULL) {
        on_shard(c, k, s, member, told);
    } else {
        on_manifest(c, k, told->status);
    }
    if (k->persist != PERSIST_DONE) {
        go_on(c, k);
    }
}

/* One that nothing is heard of, as of a shard of which no copy is left, and that a newer one stands
 * in for. */
static bool is_stuck(const struct coordinator *c, const struct run *run, const struct checkpoint *k)
{
    assert(k->used);
    return !c->tier.is_stopped && run->has_latest && run->latest > k->step &&
           c->now_ms >= k->persist_last_ms + c->config.save_timeout_ms;
}

static void look_at_run(struct coordinator *c, struct run *run)
{
    assert(run->used);
    if (run->persisting != NONE && is_stuck(c, run, &c->checkpoints[run->persisting])) {
        struct checkpoint *k = &c->checkpoints[run->persisting];
        coordinator_note(c, EVENT_persist_given_up, about_checkpoint(c, k),
                         "%u of its %u shards are not in the tier, and none came there for %llu "
                         "ms: a newer one goes there in its place",
                         k->persist_left, k->world,
                         (unsigned long long)(c->now_ms - k->persist_last_ms));
        coordinator_persist_give_up(c, k);
    }
    if (run->persisting == NONE) {
        struct checkpoint *k = coordinator_persist_choose(c, run);
        if (k == NULL) {
            return;
        }
        k->persist_from_ms = c->now_ms;
        coordinator_persist_begin(c, k);
    }
    go_on(c, &c->checkpoints[run->persisting]);
}

/* What was lost on its way is said again; an agent that works on it still takes no harm. */
static void resend(struct coordinator *c)
{
    for (uint32_t i = 0; i < c->persist_orders_high && coordinator_update_has_room(c, 1); i++) {
        struct persist_order *order = &c->persist_orders[i];
        if (order->order != 0 && c->now_ms >= order->ordered_ms + c->config.resend_ms) {
            send(c, order);
        }
    }
}

static bool has_tier(const struct coordinator *c)
{
    for (uint32_t i = 0; i < c->member_count; i++) {
        if (c->members[i].state == MEMBER_JOINED && c->members[i].has_tier) {
            return true;
        }
    }
    return false;
}

static void give_all_up(struct coordinator *c)
{
    for (uint32_t i = 0; i < c->runs_high; i++) {
        if (c->runs[i].used && c->runs[i].persisting != NONE) {
            coordinator_persist_give_up(c, &c->checkpoints[c->runs[i].persisting]);
        }
    }
    memset(&c->tier, 0, sizeof c->tier);
}

void coordinator_persist_tick(struct coordinator *c)
{
    if (!has_tier(c)) {
        give_all_up(c);
        return;
    }
    resend(c);
    for (uint32_t n = 0; n < c->runs_high && coordinator_update_has_room(c, 1); n++) {
        c->persist_run = c->persist_run + 1 < c->runs_high ? c->persist_run + 1 : 0;
        if (c->runs[c->persist_run].used) {
            look_at_run(c, &c->runs[c->persist_run]);
        }
    }
}
