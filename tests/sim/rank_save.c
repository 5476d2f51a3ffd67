/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's save: ASKING -> FILLING -> sealed. It fills piece by piece, by its own copies or, where
 * the mix has device memory, now and then by its agent's gather. */
#include <inttypes.h>

#include "hosts.h"
#include "judge.h"

#define ANSWER_TIMEOUT_MS 600

void rank_save_ask(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    rank->step = job->next_step;
    if (rank->step > job->highest_step) {
        job->highest_step = rank->step;
    }
    rank->bytes = job->shard_bytes[index];
    rank->filled = 0;
    rank->gathers = 0;
    rank->gather_bytes = 0;
    struct message message = {.type = MESSAGE_SLOT_ASK};
    message.slot_ask = (struct message_slot_ask){.step = rank->step, .bytes = rank->bytes};
    rank->phase = RANK_ASKING;
    rank_send(sim, job, index, &message);
    rank_later(sim, job, index, ANSWER_TIMEOUT_MS);
}

/* SEAL or ABANDON of the slot that is being filled. Where ranks have device memory they say what it
 * had. */
static void say_of_slot(struct sim *sim, struct sim_job *job, uint32_t index,
                        enum message_type type)
{
    const struct sim_rank *rank = &job->ranks[index];
    struct message message = {.type = type};
    message.seal = (struct message_seal){
        .step = rank->step, .slot = rank->slot, .generation = rank->generation};
    if (type == MESSAGE_SEAL && sim->mix.gathers && rank->device_key != 0) {
        uint8_t bytes[SIM_SHARD_BYTES_MAX];
        rank_fill_bytes(job, index, rank->step, 0, rank->bytes, bytes);
        message.seal.device_said = true;
        digest_of(bytes, rank->bytes, rank->device_key, &message.seal.device_digest);
    }
    rank_send(sim, job, index, &message);
}

static void seal(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    judge_ghost_add(sim, job, index, rank->step);
    say_of_slot(sim, job, index, MESSAGE_SEAL);
    rank->phase = RANK_TRAINING;
    rank->tampers =
        !sim->faults_over && rank->bytes > 0 && sim_chance(sim, sim->mix.write_after_seal_ppm);
    rank->tampers_left = sim_between(sim, 1, 3);
    rank_later(sim, job, index, sim_between(sim, 1, 60));
}

/* The device's memory goes to the agent by its descriptor; the answer, or time, goes on. */
static void gather(struct sim *sim, struct sim_job *job, uint32_t index, uint32_t piece)
{
    struct sim_rank *rank = &job->ranks[index];
    const struct message_range range = {.from = rank->filled, .to = rank->filled, .bytes = piece};
    struct message message = {.type = MESSAGE_GATHER};
    message.gather = (struct message_gather){.step = rank->step,
                                             .slot = rank->slot,
                                             .generation = rank->generation,
                                             .number = ++rank->gathers,
                                             .range_count = 1,
                                             .ranges = &range};
    rank->gather_bytes = piece;
    rank_send(sim, job, index, &message);
    rank_later(sim, job, index, ANSWER_TIMEOUT_MS);
}

static void die(struct sim *sim, struct sim_job *job, uint32_t index)
{
    sim->next_fill_dies = false;
    sim_fault(sim, FAULT_RANK_DIES_FILLING);
    rank_kill(sim, job, index);
    job_fail(sim, job, sim_between(sim, 20, 1500));
}

static void fill(struct sim *sim, struct sim_job *job, uint32_t index, uint32_t piece)
{
    struct sim_rank *rank = &job->ranks[index];
    uint8_t bytes[SIM_SHARD_BYTES_MAX];
    judge_rank_write(sim, job, rank);
    rank_fill_bytes(job, index, rank->step, rank->filled, piece, bytes);
    memory_write(sim, &rank->writable, rank->filled, piece, bytes);
    rank->filled += piece;
    if (rank->filled == rank->bytes && rank->orphan) {
        rank_disconnect(sim, job, index);
    } else if (rank->filled == rank->bytes) {
        seal(sim, job, index);
    } else {
        rank_later(sim, job, index, sim_between(sim, 1, rank->orphan ? 1500 : 15));
    }
}

void rank_save_fill(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct sim_rank *rank = &job->ranks[index];
    bool dies = sim->next_fill_dies && !sim->faults_over;
    if (rank->gather_bytes > 0) {
        /* No answer: the agent may write there still, so nobody else does. */
        say_of_slot(sim, job, index, MESSAGE_ABANDON);
        rank->phase = RANK_TRAINING;
        rank_later(sim, job, index, 10);
        return;
    }
    uint32_t left = rank->bytes - rank->filled;
    uint32_t piece = rank->bytes / sim_between(sim, 1, 4) + 1;
    piece = piece < left ? piece : left;
    bool gathers = sim->mix.gathers && !rank->orphan && piece > 0 && sim_chance(sim, PPM / 2);
    if (gathers) {
        gather(sim, job, index, piece);
    }
    if (dies) {
        die(sim, job, index);
    } else if (!gathers) {
        fill(sim, job, index, piece);
    }
}

void rank_save_gathered(struct sim *sim, struct sim_job *job, uint32_t index,
                        const struct message_gathered *gathered)
{
    struct sim_rank *rank = &job->ranks[index];
    if (rank->phase != RANK_FILLING || rank->gather_bytes == 0 || gathered->slot != rank->slot ||
        gathered->generation != rank->generation || gathered->number != rank->gathers) {
        return;
    }
    if (gathered->status == CKPT_OK) {
        rank->filled += rank->gather_bytes;
        sim->stats.gathers++;
    }
    rank->gather_bytes = 0;
    rank_later(sim, job, index, sim_between(sim, 1, 10));
}

void rank_save_granted(struct sim *sim, struct sim_job *job, uint32_t index,
                       const struct parcel *parcel)
{
    struct sim_rank *rank = &job->ranks[index];
    const struct message_slot_granted *granted = &parcel->message.slot_granted;
    if (granted->status == CKPT_OK && (rank->phase != RANK_ASKING || granted->step != rank->step)) {
        struct message message = {.type = MESSAGE_ABANDON};
        message.abandon = (struct message_abandon){
            .step = granted->step, .slot = granted->slot, .generation = granted->generation};
        rank_send(sim, job, index, &message);
        return;
    }
    if (rank->phase != RANK_ASKING) {
        return;
    }
    rank_later(sim, job, index, sim_between(sim, 1, 10));
    if (granted->status != CKPT_OK) {
        sim_trace(sim, "rank %u of %s skips step %" PRIu64 ": %s", index, job->key.name, rank->step,
                  granted->reason);
        if (granted->status == CKPT_ERR_FULL) {
            sim_fault(sim, FAULT_FULL_ARENA);
        }
        rank->phase = RANK_TRAINING;
        return;
    }
    uint64_t room = granted->part_bytes > 0 ? granted->part_bytes
                                            : parcel->attached.count * sim->mix.segment_bytes;
    if (room < rank->bytes || granted->bytes != rank->bytes ||
        (granted->part_bytes > 0 && !rank->takes_parts)) {
        sim_violation(sim, "rank %u of %s was granted less than it asked for", index,
                      job->key.name);
        return;
    }
    rank->phase = RANK_FILLING;
    rank->slot = granted->slot;
    rank->generation = granted->generation;
    rank->device_key = digest_key_id(&granted->device_key);
    rank->writable = parcel->attached;
    rank_prepare_granted(sim, job, index, parcel);
}

void rank_save_tamper(struct sim *sim, struct sim_rank *rank)
{
    uint8_t byte = (uint8_t)sim_between(sim, 0, 255);
    uint32_t at = (uint32_t)prng_below(&sim->prng, rank->bytes);
    uint32_t i = at / sim->mix.segment_bytes;
    const struct sim_mapping *mapping = &rank->writable;
    rank->tampers = --rank->tampers_left > 0;
    if (i >= mapping->count || !memory_is_mapped(sim, mapping)) {
        return;
    }
    memory_write(sim, mapping, at, 1, &byte);
    sim_fault(sim, FAULT_WRITE_AFTER_SEAL);
    judge_taint_readers(sim, mapping->node, mapping->segments[i]);
    uint32_t slot = memory_slot_of_segment(sim, mapping->node, mapping->segments[i]);
    if (slot != UINT32_MAX) {
        memory_touch(sim, mapping->node, slot, "write after seal");
    }
}
