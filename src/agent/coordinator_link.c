/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's connection: joining, living, and whose word is taken. */
#include "agent/state.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"

#define INTERVAL_MS_MAX 3600000
#define UNSETTLED_LONG 2    /* heartbeats */
#define SILENT_HEARTBEATS 3 /* and half a lease: who waits is told that nobody answers */

void agent_coordinator_up(struct agent *a, const char *address)
{
    struct coordinator_link *c = &a->coordinator;
    if (address != NULL && strlen(address) < sizeof(a->config.address)) {
        strcpy(a->config.address, address);
    }
    c->up = true;
    c->joined = false;
    c->settled = false;
    c->lease_ms = 0;
    c->join_due_ms = a->now_ms;
}

void agent_coordinator_down(struct agent *a)
{
    if (a->coordinator.joined) {
        a->coordinator.away_ms = a->coordinator.heard_ms;
    }
    a->coordinator.up = false;
    a->coordinator.joined = false;
}

/* Whether what a process waits for can come at all: a coordinator has taken this node, and answers
 * its heartbeats. Else why not, and since when. */
bool agent_coordinator_answers(const struct agent *a, char reason_out[CKPT_REASON_MAX + 1])
{
    const struct coordinator_link *c = &a->coordinator;
    uint64_t since_ms = c->joined ? c->heard_ms : c->away_ms;
    uint64_t ms = a->now_ms > since_ms ? a->now_ms - since_ms : 0;
    bool is_silent = c->lease_ms > 0 && ms > c->lease_ms / 2 &&
                     ms > (uint64_t)SILENT_HEARTBEATS * c->heartbeat_ms;
    if (c->joined && !is_silent) {
        return true;
    }
    const char *unit = ms < 10000 ? "ms" : "s";
    unsigned long long count = ms < 10000 ? ms : ms / 1000;
    if (!c->joined && c->refused != CKPT_OK) {
        agent_reason(reason_out,
                     "the coordinator refuses node %s, for %llu %s now: %s; its log and "
                     "that of ckptd here say more",
                     a->config.node, count, unit, ckpt_status_text(c->refused));
    } else {
        agent_reason(reason_out,
                     "no coordinator answers the agent of node %s, for %llu %s now: is "
                     "ckptctld running?",
                     a->config.node, count, unit);
    }
    return false;
}

/* So that it is known to have stopped, and not lost. Its memory stays, for the next agent of this
 * node. */
void agent_coordinator_stop(struct agent *a)
{
    const struct coordinator_link *c = &a->coordinator;
    if (c->up && c->joined && (c->features & WIRE_FEATURE_GOODBYE) != 0) {
        struct agent_outgoing *out =
            agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_GOODBYE);
        assert(out != NULL);
        (void)out;
    }
    agent_coordinator_down(a);
}

static void say_join(struct agent *a)
{
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_JOIN);
    assert(out != NULL);
    struct message_join *join = &out->message.join;
    join->protocol = WIRE_PROTOCOL_VERSION;
    memcpy(join->node, a->config.node, sizeof(join->node));
    memcpy(join->domain, a->config.domain, sizeof(join->domain));
    memcpy(join->address, a->config.address, sizeof(join->address));
    join->segment_bytes = a->config.segment_bytes;
    join->segments = a->config.segments;
    join->segments_free = a->segments_free;
    join->page_bytes = a->config.parts > 0 ? a->config.page_bytes : 0;
    join->features = WIRE_FEATURES;
    join->cluster = a->cluster;
    join->locked = a->config.locked;
}

/* All that is asked of the coordinator or told to it is so again: it may be another one. */
static void tell_everything(struct agent *a)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (agent_copy_state(&a->slots[i]) != COPY_NONE) {
            agent_report_wanted(a, i);
            a->slots[i].untold = true;
        }
    }
    agent_jobs_tell(a);
    agent_seats_tell(a);
    uint32_t cursor = 0;
    for (struct load *load; (load = agent_load_next(a, &cursor)) != NULL;) {
        load->due_ms = a->now_ms;
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        a->sessions[i].query.due_ms = a->now_ms;
    }
}

/* True: it is said now; it is so for as long as this node is not joined, and with every try. */
static bool is_refused_by(struct agent *a, enum ckpt_status status)
{
    struct coordinator_link *c = &a->coordinator;
    if (c->refused != status) {
        rare_ends(&c->refused_said);
    }
    c->refused = status;
    return rare_happens(&c->refused_said, a->now_ms);
}

static void say_refused(struct agent *a, const struct message_welcome *welcome)
{
    if (is_refused_by(a, welcome->status)) {
        const struct rare *said = &a->coordinator.refused_said;
        agent_note(a, welcome->status == CKPT_ERR_BUSY ? EVENT_join_waits : EVENT_join_refused,
                   NULL, "the coordinator refuses this node, %llu times in %llu s: %.180s",
                   (unsigned long long)said->count,
                   (unsigned long long)((a->now_ms - said->first_ms) / 1000),
                   agent_text_ends(welcome->reason, CKPT_REASON_MAX) ? welcome->reason : "");
    }
}

static void take_welcome(struct agent *a, const struct message_welcome *welcome)
{
    struct coordinator_link *c = &a->coordinator;
    if (welcome->status != CKPT_OK) {
        if (!c->joined) {
            say_refused(a, welcome);
            c->join_due_ms = a->now_ms + c->heartbeat_ms;
        }
        return;
    }
    if (welcome->heartbeat_ms > 0 && welcome->heartbeat_ms <= INTERVAL_MS_MAX) {
        c->heartbeat_ms = welcome->heartbeat_ms;
    }
    bool lease_is_sane =
        welcome->lease_ms > c->heartbeat_ms && welcome->lease_ms <= INTERVAL_MS_MAX;
    c->lease_ms = lease_is_sane ? welcome->lease_ms : 0;
    c->features = welcome->features;
    if (c->joined) {
        return;
    }
    c->joined = true;
    c->settled = false;
    c->unsettled = 0;
    c->refused = CKPT_OK;
    rare_ends(&c->refused_said);
    a->refusals.told = 0; /* it may be another one */
    c->heartbeat_due_ms = a->now_ms + c->heartbeat_ms;
    tell_everything(a);
    agent_note(a, EVENT_joined, NULL, "joined in epoch %llu", (unsigned long long)a->epoch);
}

/* Another cluster's: its words change nothing here. */
static void turn_away(struct agent *a, const struct message_welcome *welcome)
{
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_NONE);
    assert(out != NULL);
    out->close = true;
    if (is_refused_by(a, CKPT_ERR_DENIED)) {
        char ours[NONCE_HEX_SIZE], theirs[NONCE_HEX_SIZE];
        nonce_hex(&a->cluster, ours);
        nonce_hex(&welcome->cluster, theirs);
        agent_note(a, EVENT_another_cluster, NULL,
                   "the coordinator is of cluster %s, and this node's memory of %s: correct its "
                   "address, or give the arena up to let the node change clusters",
                   theirs, ours);
    }
    agent_coordinator_down(a);
}

/* A WELCOME of this cluster's, or of the first that this memory is of, makes its sender the one to
 * be heard. One of before clusters had ids says none, and is taken by who has none. */
static bool is_welcome_of_ours(struct agent *a, const struct message *message)
{
    const struct nonce *cluster = &message->welcome.cluster;
    if (message->type != MESSAGE_WELCOME) {
        return false;
    }
    if (!nonce_is_zero(&a->cluster) && !nonce_equal(&a->cluster, cluster)) {
        turn_away(a, &message->welcome);
        return false;
    }
    return message->welcome.status == CKPT_OK;
}

static void hear(struct agent *a, const struct message *welcome)
{
    struct coordinator_link *c = &a->coordinator;
    a->cluster = welcome->welcome.cluster;
    if (!incarnation_equal(&welcome->incarnation, &c->incarnation)) {
        c->incarnation = welcome->incarnation;
        c->life++;
        c->joined = false;
    }
}

/* Whether the message is the ruling coordinator's. */
static bool may_be_taken(struct agent *a, const struct message *message)
{
    struct coordinator_link *c = &a->coordinator;
    if (!c->up || incarnation_is_zero(&message->incarnation)) {
        return false;
    }
    bool is_heard = incarnation_equal(&message->incarnation, &c->incarnation);
    bool is_welcome = is_welcome_of_ours(a, message);
    if (!c->up) {
        return false;
    }
    if (!is_heard && !is_welcome && !PLANTED_BUG(OBEY_STALE_EPOCH)) {
        if (message->type == MESSAGE_WELCOME && message->welcome.status != CKPT_OK) {
            take_welcome(a, &message->welcome); /* why it will not have this node */
        } else if (c->joined && message->epoch >= a->epoch) {
            c->joined = false; /* another life of it: it says WELCOME before it is heard */
            c->join_due_ms = a->now_ms;
        }
        return false;
    }
    if (message->epoch < a->epoch && !PLANTED_BUG(OBEY_STALE_EPOCH)) {
        agent_note(a, EVENT_stale_epoch, NULL, "a coordinator of epoch %llu speaks, and %llu rules",
                   (unsigned long long)message->epoch, (unsigned long long)a->epoch);
        struct agent_outgoing *out =
            agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_STALE_EPOCH);
        assert(out != NULL);
        (void)out;
        return false;
    }
    if (is_welcome) {
        hear(a, message);
    }
    a->epoch = message->epoch > a->epoch ? message->epoch : a->epoch;
    return true;
}

void agent_coordinator_message(struct agent *a, const struct message *message)
{
    if (!may_be_taken(a, message)) {
        return;
    }
    a->coordinator.heard_ms = a->now_ms;
    enum message_type type = message->type;
    if (type == MESSAGE_WELCOME) {
        take_welcome(a, &message->welcome);
    } else if (!a->coordinator.joined) {
        return;
    } else if (type == MESSAGE_LEASE) {
        a->coordinator.settled = message->lease.settled;
        a->coordinator.unsettled = message->lease.settled ? 0 : a->coordinator.unsettled + 1;
    } else if (type == MESSAGE_SHARD_ACK) {
        agent_report_ack(a, &message->shard_ack);
    } else if (type == MESSAGE_PULL_ORDER) {
        agent_pull_order(a, &message->pull_order);
    } else if (type == MESSAGE_VERIFY_ORDER) {
        agent_verify_order(a, &message->verify_order);
    } else if (type == MESSAGE_LET_GO) {
        agent_let_go(a, &message->let_go);
    } else if (type == MESSAGE_LOAD_WAITS) {
        agent_load_waits(a, &message->load_waits);
    } else if (type == MESSAGE_CHECKPOINT_STATE) {
        agent_checkpoint_state(a, &message->checkpoint_state);
    } else if (type == MESSAGE_LOAD_VERDICT) {
        agent_load_verdict(a, &message->load_verdict);
    } else if (type == MESSAGE_CHECKPOINT_INFO) {
        agent_query_info(a, &message->checkpoint_info);
    } else if (type == MESSAGE_SEAT_TOLD) {
        agent_seat_told(a, &message->seat_told);
    } else if (type == MESSAGE_JOB_ACK) {
        agent_job_ack(a, &message->job_ack);
    } else {
        agent_note(a, EVENT_coordinator_protocol, NULL,
                   "the coordinator sent message %d, which is none of its", (int)type);
    }
}

static uint32_t count_unverified(const struct agent *a)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        count += a->slots[i].state == SLOT_ADOPTED;
    }
    return count;
}

/* Whether the coordinator has heard of every copy that is here. */
static bool has_told_inventory(const struct agent *a)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (a->slots[i].untold && agent_copy_state(&a->slots[i]) != COPY_NONE) {
            return false;
        }
    }
    return true;
}

static bool is_quiet(const struct agent *a)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (!a->slots[i].acked && agent_copy_state(&a->slots[i]) != COPY_NONE) {
            return false;
        }
    }
    return agent_pulls_under_way(a) == 0;
}

/* A coordinator that knows all there is to know needs to hear of us so often that no single late
 * word makes us look dead: five times in two leases. */
static uint32_t heartbeat_interval_ms(const struct agent *a)
{
    const struct coordinator_link *c = &a->coordinator;
    uint32_t rare_ms = c->lease_ms / 5 * 2;
    return c->settled && rare_ms > c->heartbeat_ms && is_quiet(a) ? rare_ms : c->heartbeat_ms;
}

/* Who is settled is answered rarely (member.c of the coordinator), and waits so much longer. */
static uint64_t silent_at_ms(const struct agent *a)
{
    const struct coordinator_link *c = &a->coordinator;
    return c->heard_ms + (uint64_t)c->lease_ms * (c->settled ? 2 : 1);
}

/* So that both tables meet even after a lost word. A coordinator whose table is as our memory was
 * at the last heartbeat has missed none; while one heartbeat alone says otherwise, words may be on
 * their way. */
static void tell_some_again(struct agent *a)
{
    struct coordinator_link *c = &a->coordinator;
    uint32_t told = c->unsettled < UNSETTLED_LONG ? AGENT_INVENTORY_PER_HEARTBEAT : 0;
    for (uint32_t i = 0; i < a->slots_high && told < AGENT_INVENTORY_PER_HEARTBEAT; i++) {
        uint32_t slot = c->inventory_next < a->slots_high ? c->inventory_next : 0;
        c->inventory_next = slot + 1 < a->slots_high ? slot + 1 : 0;
        if (agent_copy_state(&a->slots[slot]) != COPY_NONE) {
            if (a->slots[slot].acked) {
                agent_report_wanted(a, slot);
            }
            told++;
        }
    }
}

static void say_bytes(const struct agent *a, struct message_heartbeat *heartbeat)
{
    heartbeat->has_bytes = true;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        heartbeat->bytes_taken += agent_slot_room(a, s);
        heartbeat->bytes_held += s->segment_count > 0 ? s->bytes : 0;
    }
    agent_parts_room(a, &heartbeat->part_bytes_free, &heartbeat->part_bytes_largest);
}

static void say_heartbeat(struct agent *a)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_HEARTBEAT);
    assert(out != NULL);
    a->coordinator.room_came_back = false;
    out->message.heartbeat.segments_free = a->segments_free;
    out->message.heartbeat.pulls = agent_pulls_under_way(a);
    out->message.heartbeat.unverified = count_unverified(a);
    out->message.heartbeat.has_inventory = true;
    out->message.heartbeat.inventory = agent_inventory(a);
    out->message.heartbeat.inventory_told = has_told_inventory(a);
    say_bytes(a, &out->message.heartbeat);
    out->message.heartbeat.rails = a->rails;
    out->message.heartbeat.rails_up = a->rails_up;
    agent_refusals_tell(a, &out->message.heartbeat);
}

/* A connection that carries nothing for a whole lease is dead, whatever the kernel thinks of it. */
static void hang_up(struct agent *a)
{
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_NONE);
    assert(out != NULL);
    out->close = true;
    agent_note(a, EVENT_coordinator_silent, NULL,
               "the coordinator has said nothing for %u ms: connecting anew",
               (uint32_t)(a->now_ms - a->coordinator.heard_ms));
    agent_coordinator_down(a);
}

/* A shard may wait for room: it is told at once, not with the next heartbeat. */
void agent_room_pump(struct agent *a)
{
    struct coordinator_link *c = &a->coordinator;
    if (c->room_came_back && c->up && c->joined && agent_update_has_room(a)) {
        say_heartbeat(a);
    }
}

void agent_coordinator_pump(struct agent *a)
{
    struct coordinator_link *c = &a->coordinator;
    if (!c->up || !agent_update_has_room(a)) {
        return;
    }
    if (!c->joined) {
        if (c->join_due_ms <= a->now_ms) {
            say_join(a);
            c->join_due_ms = a->now_ms + a->config.resend_ms;
        }
        agent_update_deadline(a, c->join_due_ms);
        return;
    }
    if (c->lease_ms > 0 && a->now_ms >= silent_at_ms(a)) {
        hang_up(a);
        return;
    }
    if (c->heartbeat_due_ms <= a->now_ms) {
        say_heartbeat(a);
        c->heartbeat_due_ms = a->now_ms + heartbeat_interval_ms(a);
        tell_some_again(a);
    }
    agent_update_deadline(a, c->heartbeat_due_ms);
    if (c->lease_ms > 0) {
        agent_update_deadline(a, silent_at_ms(a));
    }
}
