/* SPDX-License-Identifier: Apache-2.0 */
/* One pull's way from its order to a verified copy.
 *
 * Answers of a source carry the pull's number, which no other pull of this agent has, and the
 * source's incarnation; a late or repeated one finds its pull gone or in another state, and changes
 * nothing. So their sequence is not looked at. */
#include "agent/state.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"

/* So often does a long read say that it goes on, in the time that a pin lasts without a word. */
#define PIN_WORDS 4

#define TO(state) (1U << (state))
static const unsigned allowed_moves[] = {
    [PULL_UNUSED] = TO(PULL_QUEUED),
    [PULL_QUEUED] = TO(PULL_RENEWING) | TO(PULL_ASKING) | TO(PULL_UNUSED),
    [PULL_RENEWING] = TO(PULL_ASKING) | TO(PULL_UNUSED),
    [PULL_ASKING] = TO(PULL_READING) | TO(PULL_UNUSED),
    [PULL_READING] = TO(PULL_CLOSING) | TO(PULL_UNUSED),
    [PULL_CLOSING] = TO(PULL_UNUSED),
};

void agent_pull_move(struct pull *pull, enum pull_state to)
{
    assert((unsigned)pull->state < sizeof(allowed_moves) / sizeof(allowed_moves[0]));
    assert((allowed_moves[pull->state] & TO(to)) != 0);
    pull->state = to;
}

static void move_now(struct agent *a, struct pull *pull, enum pull_state to)
{
    agent_pull_move(pull, to);
    pull->since_ms = a->now_ms;
    pull->due_ms = a->now_ms;
}

static bool is_at_source(const struct pull *pull)
{
    return pull->state == PULL_ASKING || pull->state == PULL_READING || pull->state == PULL_CLOSING;
}

static bool say_done(struct agent *a, const struct pull *pull)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_PEER, a->peers[pull->peer].link, MESSAGE_OFFER_DONE);
    if (out == NULL) {
        return false;
    }
    out->message.offer_done.pull = pull->number;
    out->message.offer_done.slot = pull->source_slot;
    out->message.offer_done.generation = pull->order.source_generation;
    return true;
}

/* The slot becomes nobody's, the source's pin is given back as far as one message can, and the
 * entry is free. Nothing is reported. */
static void leave(struct agent *a, struct pull *pull, bool suspect)
{
    bool stays = PLANTED_BUG(CALLED_OFF_STAYS) && !suspect && a->coordinator.joined;
    if (pull->slot != AGENT_NONE && a->slots[pull->slot].state != SLOT_VERIFIED && !stays) {
        assert(a->slots[pull->slot].generation == pull->generation);
        agent_slot_doom(a, pull->slot);
    }
    if (pull->peer != AGENT_NONE) {
        if (pull->offered && pull->state != PULL_CLOSING && !suspect && agent_update_has_room(a)) {
            say_done(a, pull);
        }
        agent_peer_release(a, pull->peer, suspect);
    }
    agent_pull_move(pull, PULL_UNUSED);
}

void agent_pull_drop(struct agent *a, struct pull *pull)
{
    assert(pull->state != PULL_UNUSED);
    leave(a, pull, false);
}

void agent_pull_fail(struct agent *a, struct pull *pull, enum ckpt_status status,
                     const char *reason)
{
    char text[CKPT_REASON_MAX + 1];
    agent_reason(text, "pull of step %llu rank %u from %.63s: %.120s",
                 (unsigned long long)pull->order.shard.step, pull->order.shard.rank,
                 pull->order.source_node, reason);
    agent_pull_fail_order(a, &pull->order, pull->life, status, text);
    leave(a, pull, status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_LINK);
}

static struct pull *find_by_slot(struct agent *a, uint32_t slot)
{
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (a->pulls[i].state != PULL_UNUSED && a->pulls[i].slot == slot) {
            return &a->pulls[i];
        }
    }
    return NULL;
}

void agent_pull_renewed(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    struct pull *pull = find_by_slot(a, slot);
    assert(pull != NULL && pull->state == PULL_RENEWING);
    if (status != CKPT_OK) {
        agent_pull_fail(a, pull, CKPT_ERR_SYSTEM, "memory of another user could not be renewed");
        return;
    }
    agent_slot_move(&a->slots[slot], SLOT_PULLING);
    agent_update_record(a, slot);
    move_now(a, pull, PULL_ASKING);
}

void agent_pull_read_done(struct agent *a, uint32_t slot, const struct agent_event *event)
{
    struct pull *pull = find_by_slot(a, slot);
    assert(pull != NULL && pull->state == PULL_READING);
    if (event->status != CKPT_OK) {
        agent_pull_fail(a, pull, event->status, "the transport could not read the source's memory");
        return;
    }
    pull->digest = event->digest;
    move_now(a, pull, PULL_CLOSING);
}

static const char *what_is_wrong(const struct pull *pull, const struct message_offer *offer)
{
    if (offer->generation != pull->order.source_generation) {
        return "the offer is of another generation";
    }
    if (offer->bytes != pull->order.bytes) {
        return "the offer is of another size";
    }
    if (offer->segment_bytes == 0 || offer->region_count == 0 ||
        offer->region_count > CKPT_SEGMENTS_PER_SHARD_MAX ||
        offer->region_count !=
            offer->bytes / offer->segment_bytes + (offer->bytes % offer->segment_bytes != 0)) {
        return "the offer's regions do not add up to its bytes";
    }
    return NULL;
}

static void take_offer(struct agent *a, struct pull *pull, const struct message_offer *offer)
{
    if (pull->state != PULL_ASKING) {
        return; /* the answer to a repeat */
    }
    if (offer->status != CKPT_OK) {
        agent_pull_fail(a, pull, offer->status,
                        agent_text_ends(offer->reason, CKPT_REASON_MAX) ? offer->reason
                                                                        : "refused");
        return;
    }
    pull->offered = true;
    pull->source_slot = offer->slot;
    const char *wrong = what_is_wrong(pull, offer);
    if (wrong != NULL) {
        agent_pull_fail(a, pull, CKPT_ERR_PROTOCOL, wrong);
        return;
    }
    bool started = agent_work_read_start(a, pull->slot, a->peers[pull->peer].link);
    assert(started);
    (void)started;
    move_now(a, pull, PULL_READING);
    pull->due_ms = a->now_ms + a->config.offer_pin_ms / PIN_WORDS;
}

static void take_closed(struct agent *a, struct pull *pull,
                        const struct message_offer_closed *closed)
{
    if (pull->state != PULL_CLOSING) {
        return;
    }
    if (closed->status != CKPT_OK) {
        agent_pull_fail(a, pull, closed->status, "the source's slot did not last to the end");
        return;
    }
    struct slot *s = &a->slots[pull->slot];
    s->verify = (struct order){pull->life, pull->order.order}; /* a repeat is reported again */
    s->report_order = pull->order.order;
    agent_slot_verified(a, pull->slot, &pull->digest);
    leave(a, pull, false);
}

void agent_pull_message(struct agent *a, uint32_t link, const struct message *message)
{
    bool is_offer = message->type == MESSAGE_OFFER;
    assert(is_offer || message->type == MESSAGE_OFFER_CLOSED);
    uint64_t number = is_offer ? message->offer.pull : message->offer_closed.pull;
    for (uint32_t i = 0; i < a->pull_count; i++) {
        struct pull *pull = &a->pulls[i];
        if (!is_at_source(pull) || pull->number != number || a->peers[pull->peer].link != link) {
            continue;
        }
        if (!incarnation_equal(&message->incarnation, &pull->order.source_incarnation)) {
            if (pull->state != PULL_READING) {
                agent_pull_fail(a, pull, CKPT_ERR_STALE, "the source has been started anew");
            }
        } else if (is_offer) {
            take_offer(a, pull, &message->offer);
        } else {
            take_closed(a, pull, &message->offer_closed);
        }
        return;
    }
}

/* From here on it is the peer who is asked. */
void agent_pull_peer_up(struct agent *a, uint32_t link)
{
    uint32_t peer = agent_peer_by_link(a, link);
    if (peer == AGENT_NONE || a->peers[peer].lookup_until_ms == 0) {
        return;
    }
    a->peers[peer].lookup_until_ms = 0;
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (is_at_source(&a->pulls[i]) && a->pulls[i].peer == peer) {
            a->pulls[i].since_ms = a->now_ms;
        }
    }
}

void agent_pull_peer_down(struct agent *a, uint32_t link)
{
    uint32_t peer = agent_peer_by_link(a, link);
    if (peer == AGENT_NONE) {
        return;
    }
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (is_at_source(&a->pulls[i]) && a->pulls[i].peer == peer) {
            agent_pull_fail(a, &a->pulls[i], CKPT_ERR_LINK, "its connection was lost or refused");
        }
    }
    assert(a->peers[peer].pulls == 0);
    memset(&a->peers[peer], 0, sizeof(a->peers[peer]));
}

void agent_pulls_of_checkpoint_end(struct agent *a, const struct message_checkpoint_state *state)
{
    for (uint32_t i = 0; i < a->pull_count; i++) {
        struct pull *pull = &a->pulls[i];
        if (pull->state != PULL_UNUSED &&
            agent_shard_is_of(&pull->order.shard, &state->run, state->attempt, state->step)) {
            agent_pull_drop(a, pull);
        }
    }
}

uint32_t agent_pulls_under_way(const struct agent *a)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->pull_count; i++) {
        count += a->pulls[i].state > PULL_QUEUED;
    }
    return count;
}

/* An earlier read into memory for the same shard has been cancelled and has not ended. */
static bool waits_for_earlier(const struct agent *a, const struct pull *pull)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->doomed && s->work != 0 && agent_shard_equal(&s->shard, &pull->order.shard)) {
            return true;
        }
    }
    return false;
}

static struct pull *next_queued(struct agent *a)
{
    struct pull *next = NULL;
    for (uint32_t i = 0; i < a->pull_count; i++) {
        struct pull *pull = &a->pulls[i];
        if (pull->state == PULL_QUEUED && (next == NULL || pull->number < next->number) &&
            !waits_for_earlier(a, pull)) {
            next = pull;
        }
    }
    return next;
}

static void begin(struct agent *a, struct pull *pull)
{
    char reason[CKPT_REASON_MAX + 1];
    struct slot_claim claim = {
        .shard = pull->order.shard,
        .world = pull->order.world,
        .copies = pull->order.copies,
        .bytes = pull->order.bytes,
        .cached = pull->order.purpose == PULL_FETCH,
    };
    uint32_t slot = agent_slot_live(a, &claim.shard);
    enum ckpt_status status = CKPT_ERR_BUSY;
    agent_reason(reason, "this node's own rank has begun to write it");
    if (slot == AGENT_NONE) {
        status = agent_slot_take(a, &claim, SLOT_PULLING, &slot, reason);
    }
    if (status != CKPT_OK) {
        agent_pull_fail_order(a, &pull->order, pull->life, status, reason);
        agent_pull_move(pull, PULL_UNUSED);
        return;
    }
    pull->slot = slot;
    pull->generation = a->slots[slot].generation;
    move_now(a, pull, a->slots[slot].state == SLOT_PULLING ? PULL_ASKING : PULL_RENEWING);
}

static bool say_ask(struct agent *a, const struct pull *pull)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_PEER, a->peers[pull->peer].link, MESSAGE_OFFER_ASK);
    if (out == NULL) {
        return false;
    }
    struct message_offer_ask *ask = &out->message.offer_ask;
    ask->pull = pull->number;
    ask->shard = pull->order.shard;
    ask->source_incarnation = pull->order.source_incarnation;
    ask->generation = pull->order.source_generation;
    return true;
}

/* Says what is due. False: no room for more in this turn. */
static bool drive(struct agent *a, struct pull *pull)
{
    uint64_t ends_ms = pull->since_ms + a->config.pull_timeout_ms;
    if (pull->peer != AGENT_NONE && a->peers[pull->peer].lookup_until_ms > ends_ms) {
        ends_ms = a->peers[pull->peer].lookup_until_ms;
    }
    if (pull->state != PULL_READING && ends_ms <= a->now_ms) {
        agent_pull_fail(a, pull, CKPT_ERR_TIMEOUT, "it does not answer");
        return true;
    }
    if (pull->due_ms <= a->now_ms) {
        if (!agent_update_has_room(a)) {
            return false;
        }
        if (pull->peer == AGENT_NONE) {
            pull->peer = agent_peer_take(a, pull->order.source_address);
            if (pull->peer == AGENT_NONE) {
                return false;
            }
        }
        /* While it reads, an ask is the word that keeps the source's slot pinned. */
        bool said = pull->state == PULL_CLOSING ? say_done(a, pull) : say_ask(a, pull);
        assert(said);
        (void)said;
        pull->due_ms = a->now_ms + (pull->state == PULL_READING ? a->config.offer_pin_ms / PIN_WORDS
                                                                : a->config.resend_ms);
    }
    agent_update_deadline(a, pull->due_ms);
    if (pull->state != PULL_READING) {
        agent_update_deadline(a, ends_ms);
    }
    return true;
}

void agent_pulls_pump(struct agent *a)
{
    while (agent_pulls_under_way(a) < a->config.pulls_max) {
        struct pull *pull = next_queued(a);
        if (pull == NULL || !agent_update_has_room(a)) {
            break;
        }
        begin(a, pull);
    }
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (is_at_source(&a->pulls[i]) && !drive(a, &a->pulls[i])) {
            return;
        }
    }
    if (agent_pulls_under_way(a) < a->config.pulls_max && next_queued(a) != NULL) {
        a->update->again = true; /* one has just failed and made room */
    }
}
