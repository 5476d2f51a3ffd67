/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <assert.h>
#include <string.h>

#include "agent/state.h"

#define TABLE_ALIGN 64
#define RANKS_MAX 4096
#define PULLS_MAX 1024
#define INTERVAL_MS_MAX 3600000
#define RUNS_SPARE 16
#define SEATS_SPARE 16
#define PULL_NUMBER_BITS 40 /* of a life; those above come from the seed */

void agent_config_default(struct agent_config *config_out)
{
    *config_out = (struct agent_config){
        .segment_bytes = CKPT_SEGMENT_BYTES_DEFAULT,
        .segments = 64,
        .slots = 64,
        .ranks_max = 64,
        .pulls_max = 4,
        .copies_default = 2,
        .heartbeat_ms = 1000,
        .resend_ms = 500,
        .offer_pin_ms = 30000,
        .pull_timeout_ms = 5000,
        .load_timeout_ms = 60000,
        .room_wait_ms = 1000,
    };
}

static const char *number_out_of_range(const struct agent_config *c)
{
    if (c->segment_bytes == 0) {
        return "segment_bytes must not be 0";
    }
    if (c->segments == 0 || c->segments > CKPT_ARENA_SEGMENTS_MAX) {
        return "segments must be 1 to 4096";
    }
    if (c->parts > CKPT_ARENA_PARTS_MAX || (c->parts > 0 && c->page_bytes == 0) ||
        (c->page_bytes & (c->page_bytes - 1)) != 0) {
        return "parts must be 0 to 4096, and page_bytes a power of two";
    }
    if (c->slots == 0 || c->slots > CKPT_ARENA_SEGMENTS_MAX) {
        return "slots must be 1 to 4096";
    }
    if (c->ranks_max == 0 || c->ranks_max > RANKS_MAX) {
        return "ranks_max must be 1 to 4096";
    }
    if (c->pulls_max == 0 || c->pulls_max > PULLS_MAX) {
        return "pulls_max must be 1 to 1024";
    }
    if (c->copies_default == 0 || c->copies_default > CKPT_COPIES_MAX) {
        return "copies_default must be 1 to 4";
    }
    const uint32_t intervals[] = {c->heartbeat_ms, c->resend_ms, c->offer_pin_ms,
                                  c->pull_timeout_ms, c->load_timeout_ms};
    for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
        if (intervals[i] == 0 || intervals[i] > INTERVAL_MS_MAX) {
            return "heartbeat, resend, offer_pin, pull_timeout and load_timeout must be 1 ms to 1 "
                   "h";
        }
    }
    return NULL;
}

static const char *out_of_range(const struct agent_config *c)
{
    if (!name_is_valid(c->node, CKPT_NODE_NAME_MAX)) {
        return "node must be a name of A-Z a-z 0-9 . _ / -";
    }
    if (!name_is_valid(c->domain, CKPT_DOMAIN_NAME_MAX)) {
        return "domain must be a name of A-Z a-z 0-9 . _ / -";
    }
    if (c->address[0] == '\0' || !agent_text_ends(c->address, CKPT_ADDRESS_MAX)) {
        return "address must not be empty, and end within 107 bytes";
    }
    return number_out_of_range(c);
}

/* Carves a table of count entries off the memory at *at; with at NULL only adds up. */
static void *carve(uint8_t *memory, size_t *offset, size_t count, size_t bytes)
{
    void *table = memory != NULL ? memory + *offset : NULL;
    size_t whole = (count * bytes + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN;
    *offset += whole;
    return table;
}

uint32_t agent_seats(const struct agent_config *c)
{
    return c->ranks_max + (c->ranks_max + 2) / 3 + AGENT_SEATS_KEPT;
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
    const char *wrong = out_of_range(config);
    if (wrong != NULL) {
        agent_reason(reason, "%s", wrong);
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
        a->segments[i].slot = AGENT_NONE;
        a->segments[i].first_part = AGENT_NONE;
    }
    for (uint32_t i = 0; i < config->parts; i++) {
        a->parts[i].is.slot = AGENT_NONE;
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        a->sessions[i].filling = AGENT_NONE;
        a->sessions[i].seat = AGENT_NONE;
    }
    *agent_out = a;
    return CKPT_OK;
}

static void take_peer_message(struct agent *a, uint32_t link, const struct message *message)
{
    if (message->type == MESSAGE_OFFER || message->type == MESSAGE_OFFER_CLOSED) {
        agent_pull_message(a, link, message);
    } else if (message->type == MESSAGE_OFFER_ASK || message->type == MESSAGE_OFFER_DONE) {
        agent_source_message(a, link, message);
    } else {
        agent_note(a, EVENT_peer_protocol, NULL,
                   "a peer sent message %d, which is none of a peer's: connection closed",
                   (int)message->type);
        struct agent_outgoing *out = agent_update_message(a, AGENT_TO_PEER, link, MESSAGE_NONE);
        assert(out != NULL);
        out->close = true;
    }
}

static enum ckpt_status check_event(const struct agent *a, const struct agent_event *event)
{
    uint64_t last_ms = a->now_ms + a->stalled_ms;
    if (event->now_ms < last_ms || event->late_ms > event->now_ms - last_ms) {
        return CKPT_ERR_INVALID;
    }
    switch (event->type) {
    case AGENT_TICK:
        return CKPT_OK;
    case AGENT_ADOPT:
        return a->adopting && event->record != NULL ? CKPT_OK : CKPT_ERR_INVALID;
    case AGENT_ADOPT_END:
        return a->adopting ? CKPT_OK : CKPT_ERR_INVALID;
    case AGENT_COORDINATOR_MESSAGE:
    case AGENT_PEER_MESSAGE:
    case AGENT_RANK_MESSAGE:
        return !a->adopting && event->message != NULL ? CKPT_OK : CKPT_ERR_INVALID;
    case AGENT_COORDINATOR_UP:
    case AGENT_COORDINATOR_DOWN:
    case AGENT_PEER_LOOKUP:
    case AGENT_PEER_UP:
    case AGENT_PEER_DOWN:
    case AGENT_RANK_UP:
    case AGENT_RANK_DOWN:
    case AGENT_WORK_DONE:
    case AGENT_STOP:
        return !a->adopting ? CKPT_OK : CKPT_ERR_INVALID;
    }
    return CKPT_ERR_INVALID;
}

static void take_event(struct agent *a, const struct agent_event *event)
{
    switch (event->type) {
    case AGENT_TICK:
        return;
    case AGENT_ADOPT:
        agent_adopt(a, event->record, event->corrupt);
        return;
    case AGENT_ADOPT_END:
        agent_adopt_end(a, event->epoch, &event->cluster);
        return;
    case AGENT_COORDINATOR_UP:
        agent_coordinator_up(a, event->address);
        return;
    case AGENT_COORDINATOR_DOWN:
        agent_coordinator_down(a);
        return;
    case AGENT_COORDINATOR_MESSAGE:
        agent_coordinator_message(a, event->message);
        return;
    case AGENT_PEER_MESSAGE:
        take_peer_message(a, event->link, event->message);
        return;
    case AGENT_PEER_LOOKUP:
        agent_peer_lookup(a, event->link);
        return;
    case AGENT_PEER_UP:
        agent_pull_peer_up(a, event->link);
        return;
    case AGENT_PEER_DOWN:
        agent_source_peer_down(a, event->link);
        agent_pull_peer_down(a, event->link);
        return;
    case AGENT_RANK_UP:
        agent_rank_up(a, event->link, event->uid);
        return;
    case AGENT_RANK_MESSAGE:
        agent_rank_message(a, event->link, event->message);
        return;
    case AGENT_RANK_DOWN:
        agent_rank_down(a, event->link);
        return;
    case AGENT_WORK_DONE:
        agent_work_done(a, event);
        return;
    case AGENT_STOP:
        agent_coordinator_stop(a);
        return;
    }
    assert(false && "the event was checked");
}

/* In this order: time runs out, what that frees is freed, what waited for room begins, records come
 * before what is said about them. */
static void pump(struct agent *a)
{
    agent_source_expire(a);
    agent_slots_expire(a);
    agent_slots_free_pump(a);
    agent_coordinator_pump(a);
    agent_pulls_pump(a);
    agent_works_pump(a);
    agent_peers_pump(a);
    agent_slots_free_pump(a);
    agent_room_waits_pump(a);
    agent_works_pump(a);
    agent_update_records_pump(a);
    agent_seats_pump(a);
    agent_saves_pump(a);
    agent_loads_pump(a);
    agent_queries_pump(a);
    agent_failures_pump(a);
    agent_jobs_pump(a);
    agent_reports_pump(a);
    agent_room_pump(a);
    agent_slots_lower(a);
}

enum ckpt_status agent_advance(struct agent *a, const struct agent_event *event,
                               struct agent_update *update_out)
{
    assert(a != NULL && event != NULL && update_out != NULL);
    enum ckpt_status status = check_event(a, event);
    if (status == CKPT_OK && event->type == AGENT_ADOPT) {
        status = agent_adopt_check(a, event->record);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (a->started) {
        a->stalled_ms += event->late_ms; /* a silence in that time was this agent's own */
    } else {
        a->coordinator.away_ms = event->now_ms;
    }
    a->started = true;
    a->now_ms = event->now_ms - a->stalled_ms;
    a->rails = event->rails;
    a->rails_up = event->rails_up;
    agent_update_begin(a, update_out);
    take_event(a, event);
    pump(a);
    if (update_out->again) {
        update_out->deadline_ms = a->now_ms;
    }
    if (update_out->deadline_ms != AGENT_NEVER) {
        update_out->deadline_ms += a->stalled_ms;
    }
    agent_invariants(a);
    a->update = NULL;
    return CKPT_OK;
}

bool agent_slot_view(const struct agent *a, uint32_t slot, struct agent_slot_view *view_out)
{
    if (slot >= a->config.slots) {
        return false;
    }
    const struct slot *s = &a->slots[slot];
    *view_out = (struct agent_slot_view){
        .state = s->state,
        .generation = s->generation,
        .shard = s->shard,
        .bytes = s->bytes,
        .owner = s->owner,
        .cached = s->cached,
        .doomed = s->doomed,
        .has_digest = s->has_digest,
        .digest = s->state == SLOT_VERIFIED ? s->found : s->digest,
        .pins = s->offers + s->loans,
        .segment_count = s->segment_count,
        .segments = s->segments,
        .part = agent_slot_part(a, s),
    };
    return true;
}

uint32_t agent_segments_free(const struct agent *a)
{
    return a->segments_free;
}

bool agent_is_needed(const struct agent *a)
{
    for (uint32_t i = 0; i < CKPT_JOBS_PER_NODE_MAX; i++) {
        if (a->jobs[i].used && (a->jobs[i].verb == JOB_BEGIN || !a->jobs[i].acked)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        if (a->sessions[i].used) {
            return true;
        }
    }
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (a->slots[i].state != SLOT_FREE) {
            return true;
        }
    }
    return false;
}

enum ckpt_status agent_join_status(const struct agent *a)
{
    const struct coordinator_link *c = &a->coordinator;
    bool is_refused = c->refused != CKPT_OK;
    return c->joined ? CKPT_OK : is_refused ? c->refused : CKPT_ERR_NO_COORDINATOR;
}

uint64_t agent_epoch(const struct agent *a)
{
    return a->epoch;
}

struct nonce agent_cluster(const struct agent *a)
{
    return a->cluster;
}
