/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's connection: joining, living, and whose word is taken. */
#include "agent/coordinator_link.h"

#include <assert.h>
#include <string.h>

#include "agent/digest_key.h"
#include "agent/heartbeat.h"
#include "agent/identity.h"
#include "agent/job.h"
#include "agent/load_table.h"
#include "agent/note.h"
#include "agent/seat.h"
#include "agent/silence.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/planted_bug.h"

#define INTERVAL_MS_MAX 3600000

/*   DOWN --> JOINING <--> JOINED   the way back: another life of the coordinator speaks
 *    ^---------'-----------'       what comes twice changes nothing */
static const unsigned moves[] = {
    [LINK_DOWN] = TO(LINK_DOWN) | TO(LINK_JOINING),
    [LINK_JOINING] = TO(LINK_JOINING) | TO(LINK_JOINED) | TO(LINK_DOWN),
    [LINK_JOINED] = TO(LINK_JOINING) | TO(LINK_DOWN),
};

static void move(struct coordinator_link *c, enum link_state to)
{
    assert(MAY_MOVE(moves, c->state, to));
    c->state = to;
}

void agent_coordinator_up(struct agent *a, const char *address)
{
    assert(!a->adopting);
    struct coordinator_link *c = &a->coordinator;
    if (address != NULL && strlen(address) < sizeof(a->config.address)) {
        strcpy(a->config.address, address);
    }
    move(c, LINK_JOINING);
    c->settled = false;
    c->lease_ms = 0;
    c->join_due_ms = a->now_ms;
}

void agent_coordinator_down(struct agent *a)
{
    if (a->coordinator.state == LINK_JOINED) {
        a->coordinator.away_ms = a->coordinator.heard_ms;
    }
    move(&a->coordinator, LINK_DOWN);
}

/* Its memory stays, for the next agent of this node. */
void agent_coordinator_stop(struct agent *a)
{
    assert(a->update != NULL);
    const struct coordinator_link *c = &a->coordinator;
    if (c->state == LINK_JOINED && (c->features & WIRE_FEATURE_GOODBYE) != 0) {
        struct agent_outgoing *out =
            agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_GOODBYE);
        assert(out != NULL);
        (void)out;
    }
    agent_coordinator_down(a);
}

static void send_join(struct agent *a)
{
    assert(a->coordinator.state == LINK_JOINING);
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
    join->has_tier = a->config.has_tier;
    join->cluster = a->cluster;
    join->locked = a->config.locked;
    join->closed = a->config.closed;
}

/* All that is asked of the coordinator or told to it is so again: it may be another one. */
static void resend_everything(struct agent *a)
{
    assert(a->coordinator.state == LINK_JOINED);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (agent_copy_state(&a->slots[i]) != COPY_NONE) {
            agent_report_wanted(a, i);
            a->slots[i].untold = true;
        }
    }
    agent_jobs_resend(a);
    agent_seats_resend(a);
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
    assert(status != CKPT_OK);
    struct coordinator_link *c = &a->coordinator;
    if (c->refused != status) {
        rare_ends(&c->refused_said);
    }
    c->refused = status;
    return rare_happens(&c->refused_said, a->now_ms);
}

static void note_refused(struct agent *a, const struct message_welcome *welcome)
{
    assert(welcome->status != CKPT_OK);
    if (is_refused_by(a, welcome->status)) {
        const struct rare *said = &a->coordinator.refused_said;
        agent_note(a, welcome->status == CKPT_ERR_BUSY ? EVENT_join_waits : EVENT_join_refused,
                   NULL, "the coordinator refuses this node, %llu times in %llu s: %.180s",
                   (unsigned long long)said->count,
                   (unsigned long long)((a->now_ms - said->first_ms) / 1000),
                   agent_text_ends(welcome->reason, CKPT_REASON_MAX) ? welcome->reason : "");
    }
}

void agent_coordinator_welcome(struct agent *a, const struct message_welcome *welcome)
{
    assert(a->coordinator.state != LINK_DOWN);
    struct coordinator_link *c = &a->coordinator;
    if (welcome->status != CKPT_OK) {
        if (c->state != LINK_JOINED) {
            note_refused(a, welcome);
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
    agent_digest_key_tells(a, (c->features & WIRE_FEATURE_FINGERPRINT) != 0);
    if (c->state == LINK_JOINED) {
        return;
    }
    move(c, LINK_JOINED);
    c->settled = false;
    c->unsettled = 0;
    c->refused = CKPT_OK;
    rare_ends(&c->refused_said);
    a->refusals.sent = 0; /* it may be another one */
    c->heartbeat_due_ms = a->now_ms + c->heartbeat_ms;
    resend_everything(a);
    agent_note(a, EVENT_joined, NULL, "joined in epoch %llu", (unsigned long long)a->epoch);
}

/* Another cluster's: its words change nothing here. */
static void turn_away(struct agent *a, const struct message_welcome *welcome)
{
    assert(!nonce_is_zero(&a->cluster));
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
    assert(a->coordinator.state != LINK_DOWN);
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
    assert(a->coordinator.state != LINK_DOWN);
    assert(welcome->type == MESSAGE_WELCOME);
    struct coordinator_link *c = &a->coordinator;
    a->cluster = welcome->welcome.cluster;
    if (!incarnation_equal(&welcome->incarnation, &c->incarnation)) {
        c->incarnation = welcome->incarnation;
        c->life++;
        move(c, LINK_JOINING);
    }
}

bool agent_coordinator_rules(struct agent *a, const struct message *message)
{
    struct coordinator_link *c = &a->coordinator;
    if (c->state == LINK_DOWN || incarnation_is_zero(&message->incarnation)) {
        return false;
    }
    bool is_heard = incarnation_equal(&message->incarnation, &c->incarnation);
    bool is_welcome = is_welcome_of_ours(a, message);
    if (c->state == LINK_DOWN) {
        return false;
    }
    if (!is_heard && !is_welcome && !PLANTED_BUG(OBEY_STALE_EPOCH)) {
        if (message->type == MESSAGE_WELCOME && message->welcome.status != CKPT_OK) {
            agent_coordinator_welcome(a, &message->welcome); /* why it will not have this node */
        } else if (c->state == LINK_JOINED && message->epoch >= a->epoch) {
            move(c, LINK_JOINING); /* another life of it: it says WELCOME before it is heard */
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

/* A connection that carries nothing for a whole lease is dead, whatever the kernel thinks of it. */
static void hang_up(struct agent *a)
{
    assert(a->coordinator.state == LINK_JOINED);
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_NONE);
    assert(out != NULL);
    out->close = true;
    agent_note(a, EVENT_coordinator_silent, NULL,
               "the coordinator has said nothing for %u ms: connecting anew",
               (uint32_t)(a->now_ms - a->coordinator.heard_ms));
    agent_coordinator_down(a);
}

void agent_coordinator_pump(struct agent *a)
{
    struct coordinator_link *c = &a->coordinator;
    if (c->state == LINK_DOWN || !agent_update_has_room(a)) {
        return;
    }
    if (c->state != LINK_JOINED) {
        if (c->join_due_ms <= a->now_ms) {
            send_join(a);
            c->join_due_ms = a->now_ms + a->config.resend_ms;
        }
        agent_update_deadline(a, c->join_due_ms);
        return;
    }
    if (c->lease_ms > 0 && a->now_ms >= agent_coordinator_silent_at_ms(a)) {
        hang_up(a);
        return;
    }
    if (c->heartbeat_due_ms <= a->now_ms) {
        agent_heartbeat(a);
    }
    agent_update_deadline(a, c->heartbeat_due_ms);
    if (c->lease_ms > 0) {
        agent_update_deadline(a, agent_coordinator_silent_at_ms(a));
    }
}
