/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's prepares: what its saves to come will get, asked for between saves, one list after the
 * other. It maps them and writes nothing. */
#include "hosts.h"
#include "judge.h"

#define LISTS 3

void rank_prepare_ask(struct sim *sim, struct sim_job *job, uint32_t index, uint64_t after)
{
    struct sim_rank *rank = &job->ranks[index];
    struct message message = {.type = MESSAGE_PREPARE};
    message.prepare = (struct message_prepare){
        .number = ++rank->prepares, .bytes = job->shard_bytes[index], .after = after};
    rank_send(sim, job, index, &message);
}

static bool is_same(const struct sim_mapping *a, const struct sim_mapping *b)
{
    bool same = a->count == b->count && a->node == b->node;
    for (uint32_t i = 0; same && i < a->count; i++) {
        same = a->segments[i] == b->segments[i] && a->versions[i] == b->versions[i];
    }
    return same;
}

static bool is_mapped(const struct sim_rank *rank, const struct sim_mapping *mapping)
{
    for (uint32_t i = 0; i < rank->mapped && i < SIM_MAPS_KEPT; i++) {
        if (is_same(&rank->maps[i], mapping)) {
            return true;
        }
    }
    return false;
}

static void map(struct sim_rank *rank, const struct sim_mapping *mapping)
{
    if (!is_mapped(rank, mapping)) {
        rank->maps[rank->mapped++ % SIM_MAPS_KEPT] = *mapping;
    }
}

void rank_prepare_told(struct sim *sim, struct sim_job *job, uint32_t index,
                       const struct parcel *parcel)
{
    struct sim_rank *rank = &job->ranks[index];
    const struct message_prepare *told = &parcel->message.prepare;
    if (told->number != rank->prepares || told->bytes != job->shard_bytes[index]) {
        return; /* an odd rank's, or late */
    }
    if (told->status != CKPT_OK) {
        sim_trace(sim, "rank %u of %s is prepared for nothing: %s", index, job->key.name,
                  told->reason);
        return;
    }
    uint64_t room =
        told->part_bytes > 0 ? told->part_bytes : parcel->attached.count * sim->mix.segment_bytes;
    if (room < told->bytes || told->generation <= told->after ||
        (told->part_bytes > 0 && !rank->takes_parts)) {
        sim_violation(sim, "rank %u of %s is told of less than it asked for, or of what it knows",
                      index, job->key.name);
        return;
    }
    map(rank, &parcel->attached);
    /* Told while it asks, it is the memory of the save after that one. */
    rank->is_prepared = rank->is_prepared || rank->phase != RANK_ASKING;
    if (rank->prepares % LISTS != 0) {
        rank_prepare_ask(sim, job, index, told->generation);
    }
}

void rank_prepare_granted(struct sim *sim, struct sim_job *job, uint32_t index,
                          const struct parcel *parcel)
{
    struct sim_rank *rank = &job->ranks[index];
    const struct sim_mapping *granted = &parcel->attached;
    if (rank->is_prepared) {
        /* Others may have taken it that found no other room. */
        sim->stats.prepared += is_mapped(rank, granted);
        sim->stats.prepared_for_others += !is_mapped(rank, granted);
    }
    rank->is_prepared = false;
    map(rank, granted);
}
