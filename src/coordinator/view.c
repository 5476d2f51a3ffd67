/* SPDX-License-Identifier: Apache-2.0 */
/* Read-only views of the tables. */
#include <assert.h>
#include <string.h>

#include "coordinator/find.h"
#include "coordinator/linger.h"
#include "coordinator/redundancy.h"
#include "coordinator/shard.h"
#include "coordinator/state.h"
#include "coordinator/table.h"

struct coordinator_record_shard coordinator_record_shard(const struct coordinator *c,
                                                         const struct coordinator_record *record,
                                                         uint32_t rank)
{
    struct coordinator_record_shard shard = {0};
    const struct shard_key key = {
        .run = record->run, .attempt = record->attempt, .step = record->step, .rank = rank};
    /* Finding changes nothing. */
    const struct found found = coordinator_find((struct coordinator *)c, &key, NONE);
    const struct shard *s = found.shard;
    if (s != NULL && found.checkpoint->state == CHECKPOINT_CONSISTENT) {
        shard.bytes = s->bytes;
        shard.digest = s->digest;
        for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
            if (s->homes[i] != NONE) {
                strcpy(shard.nodes[shard.node_count++], c->homes[s->homes[i]].node);
            }
        }
    }
    return shard;
}

uint64_t coordinator_epoch(const struct coordinator *c)
{
    return c->epoch;
}

struct nonce coordinator_cluster(const struct coordinator *c)
{
    return c->cluster;
}

uint32_t coordinator_member_count(const struct coordinator *c)
{
    return c->member_count;
}

bool coordinator_member_view(const struct coordinator *c, uint32_t index,
                             struct coordinator_member_view *view_out)
{
    if (index >= c->member_count || c->members[index].state == MEMBER_FREE) {
        return false;
    }
    const struct member *m = &c->members[index];
    *view_out = (struct coordinator_member_view){
        .node = m->node,
        .domain = c->domain_names[c->places[index].domain],
        .address = m->address,
        .joined = m->state == MEMBER_JOINED,
        .stopped = m->stopped,
        .draining = m->draining,
        .drained = m->draining && m->drained,
        .incarnation = m->incarnation,
        .last_heard_ms = m->heard_ms + c->stalled_ms,
        .segments = m->segments,
        .segments_free = c->places[index].segments_free,
        .segment_bytes = m->segment_bytes,
        .locked = m->locked,
        .closed = m->closed,
        .bytes_free =
            c->places[index].segments_free * m->segment_bytes + c->places[index].part_bytes_free,
        .has_bytes = m->has_bytes,
        .bytes_taken = m->bytes_taken,
        .rails = m->rails,
        .rails_up = m->rails_up,
        .bytes_held = m->bytes_held,
        .copies = m->copies_verified,
        .pulls = m->pulls,
        .mismatches = m->mismatches,
        .refusals = m->refusals,
        .refused_status = m->refused_status,
        .refused_ms_ago = c->now_ms - m->refused_ms,
    };
    return true;
}

void coordinator_tier_view(const struct coordinator *c, struct coordinator_tier_view *view_out)
{
    const struct tier *tier = &c->tier;
    *view_out = (struct coordinator_tier_view){.orders = c->persist_order_count,
                                               .is_stopped = tier->is_stopped,
                                               .status = tier->status,
                                               .reason = tier->reason};
    for (uint32_t i = 0; i < c->member_count; i++) {
        view_out->agents += c->members[i].state == MEMBER_JOINED && c->members[i].has_tier;
    }
    if (tier->is_stopped) {
        view_out->since_ms_ago = c->now_ms - tier->since_ms;
        view_out->retry_in_ms = tier->due_ms > c->now_ms ? tier->due_ms - c->now_ms : 0;
    }
}

uint32_t coordinator_run_count(const struct coordinator *c)
{
    return c->runs_high;
}

bool coordinator_run_view(const struct coordinator *c, uint32_t index,
                          struct coordinator_run_view *view_out)
{
    if (index >= c->runs_high || !c->runs[index].used) {
        return false;
    }
    const struct run *run = &c->runs[index];
    *view_out = (struct coordinator_run_view){
        .key = run->key,
        .attempt = run->attempt,
        .world = run->world,
        .has_latest = run->has_latest,
        .latest_step = run->latest,
        .has_persisted = run->has_persisted,
        .persisted_attempt = run->persisted_attempt,
        .persisted_step = run->persisted_step,
        .lingers = coordinator_run_lingers(c, run),
        .requeueable = run->job.requeueable,
    };
    uint64_t until_ms = coordinator_run_linger_until_ms(run);
    if (view_out->lingers && until_ms > c->now_ms) {
        view_out->linger_left_ms = until_ms - c->now_ms;
    }
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        view_out->checkpoints++;
        if (view_out->world == 0) {
            view_out->world = c->checkpoints[i].world;
        }
    }
    return true;
}

uint32_t coordinator_run_newest(const struct coordinator *c, uint32_t index)
{
    bool is_used = index < c->runs_high && c->runs[index].used;
    return is_used ? c->runs[index].first_checkpoint : NONE;
}

uint32_t coordinator_checkpoint_older(const struct coordinator *c, uint32_t checkpoint_index)
{
    bool is_used = checkpoint_index < c->checkpoints_high && c->checkpoints[checkpoint_index].used;
    return is_used ? c->checkpoints[checkpoint_index].next_in_run : NONE;
}

uint32_t coordinator_checkpoint_count(const struct coordinator *c)
{
    return c->checkpoints_high;
}

bool coordinator_checkpoint_view(const struct coordinator *c, uint32_t index,
                                 struct coordinator_checkpoint_view *view_out)
{
    if (index >= c->checkpoints_high || !c->checkpoints[index].used) {
        return false;
    }
    const struct checkpoint *k = &c->checkpoints[index];
    *view_out = (struct coordinator_checkpoint_view){
        .run = c->runs[k->run].key,
        .attempt = k->attempt,
        .step = k->step,
        .world = k->world,
        .copies = k->copies,
        .bytes = k->bytes,
        .state = (enum checkpoint_state)k->state,
        .shards_sealed = k->sealed,
        .shards_ready = k->ready,
        .degraded = checkpoint_is_committed(k) && k->ready < k->world,
        .restore_failures = k->restore_failures,
        .mark = (enum checkpoint_mark)k->mark,
        .reason = k->reason,
        .wall_ms = k->wall_ms,
        .interval_ms = k->interval_ms,
        .took_ms = k->took_ms,
        .copying_ms = k->copying_ms,
        .open_ms = checkpoint_is_open(k) ? c->now_ms - k->opened_ms : 0,
        .persisted = k->persist == PERSIST_DONE,
        .persisting = k->persist == PERSIST_SHARDS || k->persist == PERSIST_MANIFEST,
        .persist_left = k->persist == PERSIST_SHARDS ? k->persist_left : 0,
    };
    return true;
}

static struct coordinator_copy_view copy_view(const struct coordinator *c, const struct copy *copy)
{
    assert(copy->member != NONE);
    const struct member *m = &c->members[copy->member];
    return (struct coordinator_copy_view){
        .node = m->node,
        .domain = c->domain_names[c->places[copy->member].domain],
        .state = (enum copy_state)copy->state,
        .pulling = copy->order_kind == ORDER_PULL,
        .verifying = copy->order_kind == ORDER_VERIFY,
        .leaving = copy->order_kind == ORDER_LET_GO,
        .owner = copy->owner,
        .cached = copy->cached,
        .bad = copy->bad,
        .generation = copy->generation,
        .verified_ms = copy->verified_ms != 0 ? copy->verified_ms + c->stalled_ms : 0,
    };
}

static struct coordinator_home_view home_view(const struct coordinator *c, const struct shard *s,
                                              const struct home *home)
{
    assert(s->used);
    struct coordinator_home_view view = {
        .node = home->node, .joined = home->member != NONE, .seen = home->seen};
    const struct member *m =
        view.joined
            ? NULL
            : coordinator_member_by_name((struct coordinator *)c, home->node); /* changes nothing */
    view.stopped = m != NULL && m->stopped;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX && view.joined; i++) {
        view.has =
            view.has || (s->copies[i].member == home->member && copy_is_good(s, &s->copies[i]));
    }
    return view;
}

bool coordinator_shard_view(const struct coordinator *c, uint32_t checkpoint_index, uint32_t rank,
                            struct coordinator_shard_view *view_out)
{
    if (checkpoint_index >= c->checkpoints_high || !c->checkpoints[checkpoint_index].used) {
        return false;
    }
    const struct shard *s = coordinator_shard_find(c, &c->checkpoints[checkpoint_index], rank);
    if (s == NULL) {
        return false;
    }
    *view_out = (struct coordinator_shard_view){
        .rank = rank,
        .bytes = s->bytes,
        .has_digest = s->has_digest,
        .digest = s->digest,
        .digest_kind = s->has_digest ? c->runs[c->checkpoints[checkpoint_index].run].digest_key.kind
                                     : DIGEST_KIND_UNKNOWN,
        .copies_now = coordinator_redundancy(c, s),
    };
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (s->homes[i] != NONE) {
            view_out->homes[view_out->home_count++] = home_view(c, s, &c->homes[s->homes[i]]);
        }
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE) {
            view_out->copies[view_out->copy_count++] = copy_view(c, &s->copies[i]);
        }
    }
    return true;
}
