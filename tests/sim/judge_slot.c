/* SPDX-License-Identifier: Apache-2.0 */
/* Memory is not reused too early or by the wrong one: invariants 8, 9, 13, 14 and 18.
 *
 * Sees every slot record as it is stored, every byte that lands, every byte that a rank writes; and
 * reads what changed again after every turn.
 *
 * Not verified: that memory is freed at all (judge_liveness.c sees an arena that fills up); bytes
 * that a flip or a rank changed after the digest. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

static bool key_equal(const struct shard_key *a, const struct shard_key *b)
{
    return a->rank == b->rank && a->step == b->step && a->attempt == b->attempt &&
           a->run.uid == b->run.uid && strcmp(a->run.name, b->run.name) == 0;
}

static bool is_in_use(enum slot_state state)
{
    return state != SLOT_FREE && state != SLOT_DIRTY;
}

static bool is_copy(enum slot_state state)
{
    return state == SLOT_SEALED || state == SLOT_VERIFIED || state == SLOT_ADOPTED;
}

static void judge_generation(struct sim *sim, uint32_t node, const struct slot_record *record)
{
    struct sim_slot *slot = &sim->nodes[node].slots[record->slot];
    if (record->generation < slot->generation_high) {
        sim_violation(sim, "node %u slot %u: generation goes from %" PRIu64 " back to %" PRIu64,
                      node, record->slot, slot->generation_high, record->generation);
    }
    if (!is_in_use(record->state)) {
        return;
    }
    if (record->generation == slot->generation_high && slot->generation_shard.run.name[0] &&
        !key_equal(&record->shard, &slot->generation_shard)) {
        sim_violation(sim, "node %u slot %u generation %" PRIu64 " holds two shards", node,
                      record->slot, record->generation);
    }
    if (slot->stored && !is_in_use(slot->record.state) &&
        record->generation <= slot->generation_used) {
        sim_violation(sim, "node %u slot %u is used again with generation %" PRIu64, node,
                      record->slot, record->generation);
    }
    slot->generation_high = record->generation;
    slot->generation_used = record->generation;
    slot->generation_shard = record->shard;
}

static void judge_segments(struct sim *sim, uint32_t node, const struct slot_record *record)
{
    uint32_t user = sim_user_of_uid(record->shard.run.uid);
    uint64_t room = record->part.bytes > 0
                        ? record->part.bytes
                        : (uint64_t)record->segment_count * sim->mix.segment_bytes;
    if (record->state == SLOT_FREE) {
        return;
    }
    if (record->bytes > room) {
        sim_violation(sim, "node %u slot %u: %" PRIu64 " bytes in %u segments", node, record->slot,
                      record->bytes, record->segment_count);
    }
    for (uint32_t i = 0; i < record->segment_count; i++) {
        uint32_t segment = record->segments[i];
        const struct sim_segment *file = memory_file(sim, node, segment);
        if (!file) {
            sim_violation(sim, "node %u slot %u names segment %u", node, record->slot, segment);
            return;
        }
        judge_room_taken(sim, node, record, segment);
        if (is_in_use(record->state) && (file->users & ~(1u << user))) {
            sim_violation(sim, "node %u: segment %u passes to user %u and was not renewed", node,
                          segment, user);
        }
    }
}

static bool was_touched(const struct sim_slot *slot, const struct slot_record *record)
{
    return slot->touched && slot->touched_generation == record->generation;
}

static void note_spoilt(struct sim *sim, uint32_t node, const struct slot_record *before)
{
    if (was_touched(&sim->nodes[node].slots[before->slot], before)) {
        sim->judge->spoilt[sim->judge->spoilt_count++ % SPOILT_KEPT] =
            (struct spoilt){.shard = before->shard, .node = node, .at_ms = sim->now_ms};
    }
}

/* Domains of the shard's copies that were spoilt, and found to be so, of which the coordinator may
 * not have heard: also where that copy has been freed since, and its slot used again, the word to
 * let another go may have been on its way. */
static uint32_t domains_found_spoilt(struct sim *sim, const struct shard_key *key)
{
    uint32_t domains = 0;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        for (uint32_t i = 0; i < sim->mix.slots; i++) {
            const struct sim_slot *slot = &sim->nodes[node].slots[i];
            if (slot->touched && slot->touched_generation == slot->generation_high &&
                key_equal(&slot->generation_shard, key) &&
                judge_is_unheard(sim, slot->digest_ended_ms)) {
                domains |= 1u << sim->nodes[node].domain;
            }
        }
    }
    uint32_t count =
        sim->judge->spoilt_count < SPOILT_KEPT ? sim->judge->spoilt_count : SPOILT_KEPT;
    for (uint32_t i = 0; i < count; i++) {
        const struct spoilt *spoilt = &sim->judge->spoilt[i];
        if (key_equal(&spoilt->shard, key) && judge_is_unheard(sim, spoilt->at_ms)) {
            domains |= 1u << sim->nodes[spoilt->node].domain;
        }
    }
    return domains;
}

/* A good copy of a commit that stands is let go: only where enough others remain, or one in the
 * same domain (what is lost and not yet noticed cannot be held against who let go). Of a liar's
 * copies nobody else can tell that they are good. */
static void judge_let_go(struct sim *sim, uint32_t node, const struct slot_record *before,
                         const struct slot_record *after)
{
    const struct shard_key *key = &before->shard;
    const struct sim_job *job = sim_job_of(sim, &key->run);
    if (!is_copy(before->state) || before->cached || !job || sim->mix.liar == (int)node ||
        (is_copy(after->state) && key_equal(key, &after->shard)) || key->rank >= job->world) {
        return;
    }
    note_spoilt(sim, node, before);
    const struct commit *commit = judge_commit_find(sim, job->run, key->attempt, key->step);
    const struct sim_slot *slot = &sim->nodes[node].slots[before->slot];
    if (!commit || commit->retired || slot->corrupt || was_touched(slot, before) ||
        !judge_slot_is_intact(sim, node, before->slot, &commit->digests[key->rank])) {
        return;
    }
    uint32_t left = judge_good_domains(sim, commit, key->rank, node, before->slot, true) |
                    domains_found_spoilt(sim, key);
    bool has_twin = (left & 1u << sim->nodes[node].domain) != 0;
    if ((uint32_t)__builtin_popcount(left) < commit->copies && !has_twin &&
        !judge_is_loss_unheard(sim)) {
        sim_violation(sim,
                      "node %u frees a good copy of run %u step %" PRIu64
                      " rank %u, which is consistent and has %d others",
                      node, job->run, key->step, key->rank, __builtin_popcount(left));
    }
}

void judge_slot_record(struct sim *sim, uint32_t node, const struct slot_record *before,
                       const struct slot_record *after)
{
    judge_generation(sim, node, after);
    judge_segments(sim, node, after);
    if (before && is_in_use(before->state) && !is_in_use(after->state)) {
        judge_slot_freed(sim, node);
    }
    if (before) {
        judge_let_go(sim, node, before, after);
    }
}

void judge_landing(struct sim *sim, const struct sim_work *work)
{
    const struct sim_slot *slot = &sim->nodes[work->node].slots[work->slot];
    enum slot_state state = work->type == AGENT_WORK_GATHER ? SLOT_FILLING : SLOT_PULLING;
    if (!slot->stored || slot->record.generation != work->generation ||
        (slot->record.state != state && slot->record.state != SLOT_DIRTY)) {
        sim_violation(sim,
                      "node %u: a read of generation %" PRIu64
                      " lands in slot %u, generation %" PRIu64 " state %d",
                      work->node, work->generation, work->slot, slot->record.generation,
                      (int)slot->record.state);
    }
}

/* A rank that keeps to the rules fills: the memory must still be its own. */
void judge_rank_write(struct sim *sim, const struct sim_job *job, const struct sim_rank *rank)
{
    const struct sim_mapping *mapping = &rank->writable;
    if (!memory_is_mapped(sim, mapping)) {
        return;
    }
    for (uint32_t i = 0; i < mapping->count; i++) {
        uint32_t slot = memory_slot_of_segment(sim, mapping->node, mapping->segments[i]);
        if (slot == UINT32_MAX) {
            continue;
        }
        const struct slot_record *record = &sim->nodes[mapping->node].slots[slot].record;
        if (is_in_use(record->state) &&
            (slot != rank->slot || record->generation != rank->generation ||
             record->state != SLOT_FILLING)) {
            sim_violation(sim,
                          "a rank of run %u fills slot %u of node %u, which is slot %u state "
                          "%d by now",
                          job->run, rank->slot, mapping->node, slot, (int)record->state);
        }
    }
}

void judge_memory(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->dirty_count; i++) {
        uint32_t node = sim->dirty[i] / SIM_SEGMENTS_MAX;
        uint32_t index = sim->dirty[i] % SIM_SEGMENTS_MAX;
        struct sim_slot *slot = &sim->nodes[node].slots[index];
        const struct slot_record *record = &slot->record;
        slot->dirty = false;
        if (!slot->stored || slot->corrupt || record->state != SLOT_VERIFIED ||
            sim->mix.liar == (int)node) {
            continue;
        }
        if (!record->has_digest) {
            sim_violation(sim, "node %u slot %u is verified without a digest", node, index);
        } else if (!judge_slot_is_intact(sim, node, index, &record->digest) &&
                   !(slot->touched && slot->touched_generation == record->generation)) {
            sim_violation(sim, "node %u slot %u is verified and holds other bytes", node, index);
        }
    }
    sim->dirty_count = 0;
}
