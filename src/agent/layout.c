/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tables lie in the memory that the agent is given. */
#include "agent/agent.h"

#include "agent/config.h"
#include "base/reason.h"

#define TABLE_ALIGN 64
#define RUNS_SPARE 16
#define SEATS_SPARE 16
#define PULL_NUMBER_BITS 40 /* of a life; those above come from the seed */

/* Carves a table of count entries off the memory at *at; with at NULL only adds up. */
static void *carve(uint8_t *memory, size_t *offset, size_t count, size_t bytes)
{
    void *table = memory != NULL ? memory + *offset : NULL;
    size_t whole = (count * bytes + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN;
    *offset += whole;
    return table;
}

/* The one place that knows how large each table is. memory NULL: only the sum is wanted. */
static size_t lay_out(struct agent *a, const struct agent_config *c, uint8_t *memory)
{
    size_t offset = 0;
    size_t segments_per_slot =
        c->segments < CKPT_SEGMENTS_PER_SHARD_MAX ? c->segments : CKPT_SEGMENTS_PER_SHARD_MAX;
    carve(memory, &offset, 1, sizeof(struct agent));
    a->session_count = agent_seats(c);
    uint32_t slots = c->slots < AGENT_TABLE_SLOTS ? c->slots : AGENT_TABLE_SLOTS;
    a->run_count = a->session_count + slots + RUNS_SPARE;
    a->load_count = a->session_count * AGENT_LOADS_PER_RANK;
    a->seat_count = a->session_count + c->slots + SEATS_SPARE;
    a->pull_count = c->pulls_max + slots;
    a->failure_count = a->pull_count;
    a->peer_count = c->pulls_max + AGENT_IDLE_PEERS;
    a->offer_count = slots * CKPT_COPIES_MAX;
    a->segments = carve(memory, &offset, c->segments, sizeof(*a->segments));
    a->parts = carve(memory, &offset, c->parts, sizeof(*a->parts));
    a->scratch = carve(memory, &offset, c->segments, sizeof(*a->scratch));
    a->prepared = carve(memory, &offset, c->segments, sizeof(*a->prepared));
    a->slots = carve(memory, &offset, c->slots, sizeof(*a->slots));
    a->slot_segments =
        carve(memory, &offset, c->slots * segments_per_slot, sizeof(*a->slot_segments));
    a->runs = carve(memory, &offset, a->run_count, sizeof(*a->runs));
    a->sessions = carve(memory, &offset, a->session_count, sizeof(*a->sessions));
    a->seats = carve(memory, &offset, a->seat_count, sizeof(*a->seats));
    a->loads = carve(memory, &offset, a->load_count, sizeof(*a->loads));
    a->pulls = carve(memory, &offset, a->pull_count, sizeof(*a->pulls));
    a->failures = carve(memory, &offset, a->failure_count, sizeof(*a->failures));
    a->peers = carve(memory, &offset, a->peer_count, sizeof(*a->peers));
    a->offers = carve(memory, &offset, a->offer_count, sizeof(*a->offers));
    a->jobs = carve(memory, &offset, CKPT_JOBS_PER_NODE_MAX, sizeof(*a->jobs));
    for (uint32_t i = 0; memory != NULL && i < c->slots; i++) {
        a->slots[i].segments = a->slot_segments + i * segments_per_slot;
    }
    return offset;
}

size_t agent_memory_bytes(const struct agent_config *config, char *reason)
{
    const char *wrong = agent_config_fault(config);
    if (wrong != NULL) {
        reason_set(reason, "%s", wrong);
        return 0;
    }
    struct agent sizes;
    return lay_out(&sizes, config, NULL);
}

enum ckpt_status agent_init(void *memory, size_t bytes, const struct agent_config *config,
                            struct incarnation incarnation, uint64_t seed, struct agent **agent_out)
{
    char reason[CKPT_REASON_MAX + 1];
    size_t needed = agent_memory_bytes(config, reason);
    if (needed == 0) {
        return CKPT_ERR_CONFIG;
    }
    if (memory == NULL || bytes < needed || (uintptr_t)memory % TABLE_ALIGN != 0) {
        return CKPT_ERR_MEMORY;
    }
    if (incarnation_is_zero(&incarnation)) {
        return CKPT_ERR_INVALID;
    }
    struct agent *a = memory;
    lay_out(a, config, memory);
    a->config = *config;
    a->incarnation = incarnation;
    a->adopting = true;
    a->segments_free = config->segments;
    a->pull_last = seed << PULL_NUMBER_BITS;
    a->reader_last = seed << PULL_NUMBER_BITS;
    a->coordinator.heartbeat_ms = config->heartbeat_ms;
    for (uint32_t i = 0; i < config->segments; i++) {
        a->segments[i].slot = NONE;
        a->segments[i].first_part = NONE;
    }
    for (uint32_t i = 0; i < config->parts; i++) {
        a->parts[i].is.slot = NONE;
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        a->sessions[i].filling = NONE;
        a->sessions[i].seat = NONE;
        a->sessions[i].prepare.slot = NONE;
    }
    *agent_out = a;
    return CKPT_OK;
}
