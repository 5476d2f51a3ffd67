/* SPDX-License-Identifier: Apache-2.0 */
/* What a rank sends that keeps to no rule. */
#include <stdio.h>

#include "hosts.h"

/* A name that nobody needs: its owner may have many, and should leave room for others. */
static void take_a_run(struct sim *sim, struct sim_job *job, uint32_t index)
{
    struct message message = {.type = MESSAGE_JOB};
    message.job.verb = sim_chance(sim, PPM / 2) ? JOB_BEGIN : JOB_END;
    message.job.run = job->key;
    message.job.attempt = 1;
    message.job.linger_ms = 60000;
    message.job.requeueable = true;
    uint32_t number = sim_between(sim, 0, 30);
    snprintf(message.job.job, sizeof message.job.job, "greedy/%u", number);
    snprintf(message.job.run.name, sizeof message.job.run.name, "greedy/%u", number);
    sim_fault(sim, FAULT_GREEDY);
    rank_send(sim, job, index, &message);
}

/* What a broken or hostile trainer sends: any field may be anything,
 * also what belongs to others. */
void rank_odd_message(struct sim *sim, struct sim_job *job, uint32_t index)
{
    static const enum message_type types[] = {
        MESSAGE_RANK_OPEN,    MESSAGE_SLOT_ASK, MESSAGE_SEAL,    MESSAGE_ABANDON,
        MESSAGE_LOAD_ASK,     MESSAGE_RELEASE,  MESSAGE_LOADED,  MESSAGE_JOIN,
        MESSAGE_SHARD_REPORT, MESSAGE_GATHER,   MESSAGE_PREPARE,
    };
    struct message message = {0};
    message.type = types[sim_between(sim, 0, sizeof types / sizeof types[0] - 1)];
    message.epoch = sim_between(sim, 0, 100);
    uint32_t slot = sim_between(sim, 0, sim->mix.slots + 1);
    uint64_t generation = slot < sim->mix.slots
                              ? sim->nodes[job->ranks[index].node].slots[slot].record.generation
                              : 7;
    if (message.type == MESSAGE_SEAL || message.type == MESSAGE_ABANDON) {
        message.seal = (struct message_seal){
            .step = sim_between(sim, 0, 100), .slot = slot, .generation = generation};
    } else if (message.type == MESSAGE_RELEASE) {
        message.release = (struct message_release){slot, generation};
        struct sim_rank *rank = &job->ranks[index];
        bool is_own = slot == rank->loaded.slot && generation == rank->loaded.generation;
        rank->holds = rank->holds && !is_own; /* what it reads on may be another's soon */
    } else if (message.type == MESSAGE_GATHER) {
        message.gather = (struct message_gather){.step = job->ranks[index].step,
                                                 .slot = slot,
                                                 .generation = generation,
                                                 .number = sim_between(sim, 0, 2)};
    } else if (message.type == MESSAGE_PREPARE) {
        const uint32_t most = SIM_SHARD_SEGMENTS_MAX * sim->mix.segment_bytes;
        message.prepare = (struct message_prepare){
            .number = sim_between(sim, 0, 3),
            /* A shard of more segments than it has of any job's is no simulated memory. */
            .bytes = sim_chance(sim, PPM / 2) ? sim_between(sim, 0, most)
                                              : prng_next(&sim->prng) | UINT64_C(1) << 40,
            .after = sim_chance(sim, PPM / 2) ? 0 : prng_next(&sim->prng)};
    } else if (message.type == MESSAGE_SLOT_ASK) {
        message.slot_ask.step = sim_chance(sim, PPM / 2) ? 0 : UINT64_MAX - sim_between(sim, 0, 1);
        message.slot_ask.bytes = sim_chance(sim, PPM / 2) ? 0 : prng_next(&sim->prng);
    } else if (message.type == MESSAGE_LOAD_ASK) {
        message.load_ask.step = prng_next(&sim->prng);
        message.load_ask.rank = sim_between(sim, 0, 20);
        message.load_ask.load = 1000 + sim_between(sim, 0, 3);
        message.load_ask.world = sim_between(sim, 0, 9);
    } else if (message.type == MESSAGE_RANK_OPEN) {
        snprintf(message.rank_open.run, sizeof message.rank_open.run, "odd/%u", index);
        message.rank_open.rank = sim_between(sim, 0, 9);
        message.rank_open.world = sim_between(sim, 0, 9);
    }
    rank_send(sim, job, index, &message);
    if (sim->mix.greedy && sim_chance(sim, PPM / 2)) {
        take_a_run(sim, job, index);
    }
}
