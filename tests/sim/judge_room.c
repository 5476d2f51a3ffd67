/* SPDX-License-Identifier: Apache-2.0 */
/* Memory has one owner, a small shard takes little of it, and nobody is refused what is free:
 * invariant 8.
 *
 * Counts by the records as they are stored, and not by what the agent believes to be free.
 *
 * Not verified: that the slots suffice; what a user is refused while he fills other slots there,
 * for that has a bound of its own; what is refused in a turn that frees something. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

void judge_room_taken(struct sim *sim, uint32_t node, const struct slot_record *record, uint32_t id)
{
    struct room_kind kind = {.segment_bytes = sim->mix.segment_bytes,
                             .page_bytes = sim->mix.page_bytes};
    struct room_part range = {.segment = id, .bytes = sim->mix.segment_bytes};
    const struct sim_segment *file = memory_file(sim, node, id);
    if (record->part.bytes > 0) {
        range = record->part;
        if (!room_part_is_sound(&kind, sim->mix.segments, &range) ||
            range.bytes != room_part_bytes(&kind, record->bytes)) {
            sim_violation(sim, "node %u slot %u: a part of %" PRIu64 " bytes for %" PRIu64, node,
                          record->slot, range.bytes, record->bytes);
        }
        if (record->state != SLOT_DIRTY &&
            (file->at.segment != range.segment || file->at.offset != range.offset ||
             file->at.bytes != range.bytes)) {
            sim_violation(sim, "node %u slot %u: its part is not there", node, record->slot);
        }
    }
    uint32_t other = memory_slot_within(sim, node, &range, record->slot);
    if (other != UINT32_MAX) {
        sim_violation(sim, "node %u: slots %u and %u have the same bytes of segment %u", node,
                      other, record->slot, range.segment);
    }
}

static bool part_is_free(struct sim *sim, uint32_t node, uint64_t bytes)
{
    for (uint32_t i = 0; i < sim->mix.segments; i++) {
        struct room_part at = {.segment = i, .bytes = bytes};
        for (; at.offset + bytes <= sim->mix.segment_bytes; at.offset += bytes) {
            if (memory_is_free(sim, node, &at)) {
                return true;
            }
        }
    }
    return false;
}

static uint64_t segments_free(struct sim *sim, uint32_t node)
{
    uint64_t free = 0;
    for (uint32_t i = 0; i < sim->mix.segments; i++) {
        struct room_part whole = {.segment = i, .bytes = sim->mix.segment_bytes};
        free += memory_is_free(sim, node, &whole);
    }
    return free;
}

static bool may_be_refused(struct sim *sim, uint32_t node, uint32_t uid)
{
    uint32_t free = 0;
    for (uint32_t i = 0; i < sim->mix.slots; i++) {
        const struct sim_slot *slot = &sim->nodes[node].slots[i];
        if (!slot->stored || slot->record.state == SLOT_FREE) {
            free++;
        } else if (slot->record.shard.run.uid == uid &&
                   (slot->record.state == SLOT_FILLING ||
                    (slot->record.state == SLOT_DIRTY && slot->record.owner))) {
            return true;
        }
    }
    return free == 0;
}

/* Records are stored before messages go: what came free at the end of a turn was not free for what
 * was refused at its beginning. */
static bool has_come_free(const struct agent_update *update)
{
    for (uint32_t i = 0; i < update->record_count; i++) {
        if (update->records[i].state == SLOT_FREE) {
            return true;
        }
    }
    return false;
}

static void judge_refusal(struct sim *sim, uint32_t node, uint32_t uid, uint64_t bytes, bool parts)
{
    struct room_kind kind = {.segment_bytes = sim->mix.segment_bytes,
                             .page_bytes = parts ? sim->mix.page_bytes : 0};
    uint64_t part = room_part_bytes(&kind, bytes);
    if (may_be_refused(sim, node, uid) || has_come_free(&sim->agent_update)) {
        return;
    }
    if (part > 0 ? part_is_free(sim, node, part)
                 : segments_free(sim, node) >= room_whole_segments(&kind, bytes)) {
        sim_violation(sim, "node %u has no room for %" PRIu64 " bytes, it says, and has", node,
                      bytes);
    }
}

/* Whether the agent has refused it in this turn. What waited for a connection, and what is told
 * again of a repeated order, was so when it was refused, whatever has come free since. */
static bool is_new(const struct agent_update *update, const struct shard_key *shard)
{
    for (uint32_t i = 0; i < update->note_count; i++) {
        const struct machine_note *note = &update->notes[i];
        if (note->event == EVENT_pull_failed && note->has_shard &&
            note->run.uid == shard->run.uid && strcmp(note->run.name, shard->run.name) == 0 &&
            note->attempt == shard->attempt && note->step == shard->step &&
            note->rank == shard->rank) {
            return true;
        }
    }
    return false;
}

void judge_room_message(struct sim *sim, uint32_t node, const struct sim_end *to,
                        const struct message *message)
{
    if (message->type == MESSAGE_SLOT_GRANTED && to->type == END_RANK &&
        message->slot_granted.status == CKPT_ERR_FULL) {
        const struct sim_job *job = &sim->jobs[to->index / SIM_WORLD_MAX];
        const struct sim_rank *rank = &job->ranks[to->index % SIM_WORLD_MAX];
        if (!rank->odd && rank->phase == RANK_ASKING && rank->process == to->life &&
            rank->step == message->slot_granted.step) {
            judge_refusal(sim, node, job->key.uid, rank->bytes, rank->takes_parts);
        }
    } else if (message->type == MESSAGE_PULL_FAILED &&
               message->pull_failed.status == CKPT_ERR_FULL) {
        const struct shard_key *key = &message->pull_failed.shard;
        const struct sim_job *job = sim_job_of(sim, &key->run);
        if (job && key->rank < job->world && is_new(&sim->agent_update, key)) {
            judge_refusal(sim, node, key->run.uid, job->shard_bytes[key->rank], true);
        }
    }
}
