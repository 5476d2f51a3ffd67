/* SPDX-License-Identifier: Apache-2.0 */
/* What the judges remember: the shards that ranks sealed, and the commits that are durable.
 *
 * Not verified here: nothing is judged in this file. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#include "hosts.h"

struct judge *judge_new(void)
{
    struct judge *judge = calloc(1, sizeof *judge);
    if (!judge) {
        abort();
    }
    return judge;
}

void judge_delete(struct judge **judge)
{
    for (uint32_t i = 0; *judge && i < GHOST_BUCKETS; i++) {
        struct ghost *ghost = (*judge)->ghosts[i];
        while (ghost) {
            struct ghost *next = ghost->next;
            free(ghost);
            ghost = next;
        }
    }
    free(*judge);
    *judge = NULL;
}

static uint32_t bucket_of(uint32_t run, uint32_t attempt, uint64_t step, uint32_t rank)
{
    return (uint32_t)(run * 131 + attempt * 31 + step * 7 + rank) % GHOST_BUCKETS;
}

/* The shard that this rank seals now, as it meant it. */
struct ghost *judge_ghost_add(struct sim *sim, const struct sim_job *job, uint32_t index,
                              uint64_t step)
{
    const struct sim_rank *rank = &job->ranks[index];
    const struct sim_node *node = &sim->nodes[rank->node];
    const struct sim_slot *slot = &node->slots[rank->slot];
    struct ghost **bucket = &sim->judge->ghosts[bucket_of(job->run, job->attempt, step, index)];
    struct ghost *ghost = malloc(sizeof *ghost);
    if (!ghost) {
        abort();
    }
    uint8_t bytes[SIM_SHARD_BYTES_MAX];
    rank_fill_bytes(job, index, step, 0, rank->bytes, bytes);
    *ghost = (struct ghost){.next = *bucket,
                            .run = job->run,
                            .attempt = job->attempt,
                            .step = step,
                            .rank = index,
                            .node = rank->node,
                            .wipes = rank->writable.wipes,
                            .slot = rank->slot,
                            .generation = rank->generation,
                            .bytes = rank->bytes};
    values_of(bytes, rank->bytes, ghost->values);
    digest_of_values(ghost->values, rank->bytes, DIGEST_KEY_ID_BLAKE3, &ghost->digest);
    ghost->tainted = slot->touched && slot->touched_generation == rank->generation &&
                     node->wipes == ghost->wipes;
    *bucket = ghost;
    return ghost;
}

struct ghost *judge_ghost_find(struct sim *sim, uint32_t run, uint32_t attempt, uint64_t step,
                               uint32_t rank, const struct digest *digest)
{
    struct ghost *ghost = sim->judge->ghosts[bucket_of(run, attempt, step, rank)];
    for (; ghost; ghost = ghost->next) {
        struct digest keyed;
        digest_under(&ghost->digest, digest_key_of(digest), &keyed);
        if (ghost->run == run && ghost->attempt == attempt && ghost->step == step &&
            ghost->rank == rank && digest_equal(&keyed, digest)) {
            return ghost;
        }
    }
    return NULL;
}

bool judge_ghost_is_tainted(struct sim *sim, uint32_t run, uint32_t attempt, uint64_t step,
                            uint32_t rank)
{
    const struct ghost *ghost = sim->judge->ghosts[bucket_of(run, attempt, step, rank)];
    for (; ghost; ghost = ghost->next) {
        if (ghost->run == run && ghost->attempt == attempt && ghost->step == step &&
            ghost->rank == rank && ghost->tainted) {
            return true;
        }
    }
    return false;
}

void judge_taint(struct sim *sim, uint32_t node, uint32_t slot, uint64_t generation)
{
    for (uint32_t i = 0; i < GHOST_BUCKETS; i++) {
        for (struct ghost *ghost = sim->judge->ghosts[i]; ghost; ghost = ghost->next) {
            if (ghost->node == node && ghost->slot == slot && ghost->generation == generation &&
                ghost->wipes == sim->nodes[node].wipes) {
                ghost->tainted = true;
            }
        }
    }
}

struct commit *judge_commit_find(struct sim *sim, uint32_t run, uint32_t attempt, uint64_t step)
{
    for (uint32_t i = sim->judge->commit_count; i-- > 0;) {
        struct commit *commit = &sim->judge->commits[i];
        if (commit->run == run && commit->attempt == attempt && commit->step == step) {
            return commit;
        }
    }
    return NULL;
}

struct commit *judge_newest(struct sim *sim, uint32_t run)
{
    struct commit *newest = NULL;
    for (uint32_t i = 0; i < sim->judge->commit_count; i++) {
        struct commit *commit = &sim->judge->commits[i];
        if (commit->run == run && !commit->retired && !commit->quarantined &&
            (!newest || commit->step > newest->step)) {
            newest = commit;
        }
    }
    return newest;
}

bool judge_slot_is_intact(struct sim *sim, uint32_t node, uint32_t slot,
                          const struct digest *digest)
{
    struct digest now;
    return memory_digest(sim, node, slot, digest_key_of(digest), &now) &&
           digest_equal(&now, digest);
}

bool judge_digested(const struct sim_slot *slot, uint32_t life, uint64_t generation,
                    const struct digest *digest)
{
    return slot->digest_life == life && slot->digest_generation == generation &&
           (digest_equal(&slot->digest, digest) || digest_equal(&slot->digest_before, digest) ||
            digest_equal(&slot->named, digest));
}

bool judge_is_unheard(const struct sim *sim, uint64_t at_ms)
{
    const struct sim_host *ruler = &sim->rulers[sim->front].host;
    return sim->now_ms < at_ms + SIM_HEARD_MS ||
           (at_ms + SIM_HEARD_MS > ruler->away_from_ms &&
            sim->now_ms < ruler->away_until_ms + SIM_HEARD_MS);
}

bool judge_is_loss_unheard(const struct sim *sim)
{
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        uint64_t lost_ms = sim->nodes[node].lost_ms;
        if (lost_ms > 0 && judge_is_unheard(sim, lost_ms)) {
            return true;
        }
    }
    return false;
}

bool judge_holds_copy(const struct sim_slot *slot)
{
    return slot->stored && !slot->corrupt && !slot->record.cached &&
           (slot->record.state == SLOT_SEALED || slot->record.state == SLOT_VERIFIED ||
            slot->record.state == SLOT_ADOPTED);
}

bool judge_is_spoilt_unseen(const struct sim_slot *slot)
{
    return slot->touched && slot->touched_generation == slot->record.generation &&
           slot->touched_ms >= slot->digest_began_ms;
}

bool judge_is_of(struct sim *sim, const struct sim_slot *slot, const struct commit *commit,
                 uint32_t rank)
{
    const struct shard_key *key = &slot->record.shard;
    if (key->rank != rank || key->step != commit->step || key->attempt != commit->attempt) {
        return false;
    }
    const struct sim_job *job = sim_job_of(sim, &key->run);
    return job && job->run == commit->run;
}

bool judge_node_holds(struct sim *sim, const struct commit *commit, uint32_t rank, uint32_t node)
{
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &sim->nodes[node].slots[i];
        if (judge_holds_copy(slot) && judge_is_of(sim, slot, commit, rank)) {
            return true;
        }
    }
    return false;
}

uint32_t judge_good_domains(struct sim *sim, const struct commit *commit, uint32_t rank,
                            uint32_t except_node, uint32_t except_slot, bool unseen)
{
    uint32_t domains = 0;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        for (uint32_t i = 0; i < sim->mix.slots; i++) {
            const struct sim_slot *slot = &sim->nodes[node].slots[i];
            if ((node == except_node && i == except_slot) || !judge_holds_copy(slot) ||
                !judge_is_of(sim, slot, commit, rank)) {
                continue;
            }
            if ((unseen && judge_is_spoilt_unseen(slot)) ||
                judge_slot_is_intact(sim, node, i, &commit->digests[rank])) {
                domains |= 1u << sim->nodes[node].domain;
            }
        }
    }
    return domains;
}
