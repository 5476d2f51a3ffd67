/* SPDX-License-Identifier: Apache-2.0 */
/* The tier as an agent's thread sees it: a shard is read from its slot piece by piece, and has its
 * name in the tier when all of it is there and has the digest that was committed; a manifest has
 * its own when the shards that it speaks of are there. What has a name stays, whoever dies.
 *
 * It may be full; it may hang, until the agent gives up what it waits for, and what was given up
 * may land long after; and what no manifest speaks of may get lost. */
#include <string.h>

#include "base/bytes.h"
#include "base/planted_bug.h"
#include "hosts.h"
#include "judge.h"

#define GIVE_UP_MS 1500

static struct sim_tier_shard *find(struct sim_tier *tier, const struct shard_key *key)
{
    for (uint32_t i = 0; i < tier->shard_count; i++) {
        if (tier->shards[i].is_there && shard_key_equal(&tier->shards[i].key, key)) {
            return &tier->shards[i];
        }
    }
    return NULL;
}

const struct sim_tier_shard *tier_find(const struct sim *sim, const struct shard_key *key)
{
    return find((struct sim_tier *)&sim->tier, key);
}

const struct sim_tier_manifest *tier_manifest(const struct sim *sim, const struct run_key *run,
                                              uint32_t attempt, uint64_t step)
{
    for (uint32_t i = 0; i < sim->tier.manifest_count; i++) {
        const struct sim_tier_manifest *m = &sim->tier.manifests[i];
        if (m->attempt == attempt && m->step == step && run_key_equal(&m->run, run)) {
            return m;
        }
    }
    return NULL;
}

static void name_shard(struct sim *sim, const struct message_persist_order *order,
                       const struct digest *name)
{
    struct sim_tier *tier = &sim->tier;
    struct sim_tier_shard *s = find(tier, &order->shard);
    for (uint32_t i = 0; s == NULL && i < tier->shard_count; i++) {
        s = tier->shards[i].is_there ? NULL : &tier->shards[i];
    }
    if (s == NULL && tier->shard_count < SIM_TIER_SHARDS_MAX) {
        s = &tier->shards[tier->shard_count++];
    }
    if (s == NULL) {
        sim_violation(sim, "more than %d shards in the tier", SIM_TIER_SHARDS_MAX);
        return;
    }
    *s = (struct sim_tier_shard){
        .is_there = true, .key = order->shard, .bytes = order->bytes, .name = *name};
    sim_trace(sim, "tier has step %llu rank %u", (unsigned long long)order->shard.step,
              order->shard.rank);
}

/* All of the shard has come. */
static enum ckpt_status land_shard(struct sim *sim, struct sim_work *work, struct digest *name_out)
{
    struct digest proof;
    uint64_t key = digest_key_id(&work->persist.key);
    digest_of(work->shadow, work->bytes, DIGEST_KEY_ID_BLAKE3, name_out);
    digest_of(work->shadow, work->bytes, key, &proof);
    if (!digest_equal(&proof, &work->persist.digest) && !PLANTED_BUG(TIER_UNPROVEN)) {
        return CKPT_ERR_DIGEST;
    }
    name_shard(sim, &work->persist, name_out);
    return CKPT_OK;
}

/* CKPT_OK: its shards are there, and are those that the root is over. */
static enum ckpt_status look(const struct sim *sim, const struct message_manifest_order *order)
{
    struct digest_stream stream;
    struct digest root;
    digest_stream_init(&stream, digest_engine_plain());
    for (uint32_t rank = 0; rank < order->world; rank++) {
        const struct shard_key key = {
            .run = order->run, .attempt = order->attempt, .step = order->step, .rank = rank};
        const struct sim_tier_shard *s = tier_find(sim, &key);
        uint8_t row[12];
        if (s == NULL) {
            return CKPT_ERR_NOT_FOUND;
        }
        store_le32(row, rank);
        store_le64(row + 4, s->bytes);
        digest_stream_update(&stream, row, sizeof row);
        digest_stream_update(&stream, s->name.bytes, sizeof s->name.bytes);
    }
    digest_stream_final(&stream, &root);
    return digest_equal(&root, &order->root) ? CKPT_OK : CKPT_ERR_DIGEST;
}

static enum ckpt_status land_manifest(struct sim *sim, const struct message_manifest_order *order)
{
    struct sim_tier *tier = &sim->tier;
    enum ckpt_status status = PLANTED_BUG(MANIFEST_FIRST) ? CKPT_OK : look(sim, order);
    if (status != CKPT_OK || tier_manifest(sim, &order->run, order->attempt, order->step)) {
        return status;
    }
    if (tier->manifest_count == SIM_TIER_MANIFESTS_MAX) {
        sim_violation(sim, "more than %d manifests in the tier", SIM_TIER_MANIFESTS_MAX);
        return CKPT_ERR_FULL;
    }
    tier->manifests[tier->manifest_count++] = (struct sim_tier_manifest){.run = order->run,
                                                                         .attempt = order->attempt,
                                                                         .step = order->step,
                                                                         .world = order->world,
                                                                         .root = order->root};
    sim_trace(sim, "tier has the manifest of step %llu", (unsigned long long)order->step);
    judge_manifest(sim, &tier->manifests[tier->manifest_count - 1]);
    return CKPT_OK;
}

static void later(struct sim *sim, const struct sim_work *work, uint64_t in_ms)
{
    sim_later(sim, in_ms, TURN_WORK, (uint32_t)(work - sim->works), work->life,
              (uint32_t)work->work, NULL);
}

/* The agent waits no longer. The thread is where it was, and may go on. */
static void give_up(struct sim *sim, struct sim_work *work)
{
    work_finish(sim, work, CKPT_ERR_TIMEOUT);
    if (sim_chance(sim, PPM / 2)) {
        work->active = true;
        work->is_told = true;
        sim_fault(sim, FAULT_TIER_LATE);
        later(sim, work, sim_between(sim, 10, 4000));
    }
}

void tier_start(struct sim *sim, struct sim_work *work, const struct agent_work *asked)
{
    if (asked->type == AGENT_WORK_PERSIST) {
        work->persist = *asked->persist;
    } else {
        work->manifest = *asked->manifest;
    }
    later(sim, work, sim_between(sim, 1, 10));
}

static void end(struct sim *sim, struct sim_work *work)
{
    struct digest name = {{0}};
    enum ckpt_status status = work->type == AGENT_WORK_PERSIST
                                  ? land_shard(sim, work, &name)
                                  : land_manifest(sim, &work->manifest);
    if (work->is_told) {
        work->active = false;
        return;
    }
    work->persist.digest = name;
    work_finish(sim, work, status);
}

void tier_turn(struct sim *sim, struct sim_work *work)
{
    uint32_t piece_ms = sim->faults_over ? 10 : sim->mix.tier_piece_ms;
    if (sim->now_ms < sim->tier.hangs_until_ms) {
        if (!work->is_told && sim->now_ms >= work->began_ms + GIVE_UP_MS) {
            give_up(sim, work);
        } else {
            later(sim, work, sim_between(sim, 20, 100));
        }
        return;
    }
    if (sim->now_ms < sim->tier.full_until_ms && sim_chance(sim, PPM / 2)) {
        if (work->is_told) {
            work->active = false;
        } else {
            work_finish(sim, work, CKPT_ERR_FULL);
        }
        return;
    }
    uint32_t left = work->bytes - work->landed;
    uint32_t bytes = left < work->chunk ? left : work->chunk;
    memory_read(sim, &work->here, work->landed, bytes, work->shadow + work->landed);
    work->landed += bytes;
    if (work->landed < work->bytes) {
        later(sim, work, sim_between(sim, 1, piece_ms));
        return;
    }
    end(sim, work);
}

static void lose_shard(struct sim *sim)
{
    struct sim_tier *tier = &sim->tier;
    for (uint32_t tries = 0; tries < 20 && tier->shard_count > 0; tries++) {
        struct sim_tier_shard *s = &tier->shards[prng_below(&sim->prng, tier->shard_count)];
        if (s->is_there && !tier_manifest(sim, &s->key.run, s->key.attempt, s->key.step)) {
            s->is_there = false;
            sim_fault(sim, FAULT_TIER_LOSES);
            return;
        }
    }
}

void tier_strike(struct sim *sim, enum fault_kind kind)
{
    if (kind == FAULT_TIER_LOSES) {
        lose_shard(sim);
        return;
    }
    uint64_t until_ms = sim->now_ms + sim_between(sim, 100, 5000);
    sim_fault(sim, kind);
    if (kind == FAULT_TIER_FULL) {
        sim->tier.full_until_ms = until_ms;
    } else {
        sim->tier.hangs_until_ms = until_ms;
    }
}

void tier_mend(struct sim *sim)
{
    sim->tier.full_until_ms = 0;
    sim->tier.hangs_until_ms = 0;
}
