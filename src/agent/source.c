/* SPDX-License-Identifier: Apache-2.0 */
/* Slots offered to peers, and pinned while they read.
 *
 * A repeated or late ask pins a slot again for offer_pin_ms at most; a late OFFER_DONE can only end
 * a pin early, and the puller learns from OFFER_CLOSED whether the slot lasted. So the sequence of
 * a peer's messages is not looked at. */
#include "agent/source.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/reason.h"

/*   UNUSED <--> PINNED   asked for; done, not heard of for long, or its connection is gone */
static const unsigned moves[] = {
    [OFFER_UNUSED] = TO(OFFER_PINNED),
    [OFFER_PINNED] = TO(OFFER_UNUSED),
};

static void move(struct offer *offer, enum offer_state to)
{
    assert(MAY_MOVE(moves, offer->state, to));
    offer->state = to;
}

static struct offer *find(struct agent *a, uint32_t link, uint64_t pull)
{
    for (uint32_t i = 0; i < a->offer_count; i++) {
        struct offer *offer = &a->offers[i];
        if (offer->state == OFFER_PINNED && offer->link == link && offer->pull == pull) {
            return offer;
        }
    }
    return NULL;
}

static void unpin(struct agent *a, struct offer *offer)
{
    struct slot *s = &a->slots[offer->slot];
    assert(s->offers > 0);
    assert(s->generation == offer->generation);
    s->offers--;
    move(offer, OFFER_UNUSED);
    memset(offer, 0, sizeof(*offer));
}

static bool pin(struct agent *a, uint32_t link, uint64_t pull, uint32_t slot)
{
    assert(slot < a->config.slots);
    for (uint32_t i = 0; i < a->offer_count; i++) {
        struct offer *offer = &a->offers[i];
        if (offer->state == OFFER_UNUSED) {
            move(offer, OFFER_PINNED);
            offer->link = link;
            offer->pull = pull;
            offer->slot = slot;
            offer->generation = a->slots[slot].generation;
            offer->heard_ms = a->now_ms;
            a->slots[slot].offers++;
            return true;
        }
    }
    return false;
}

static enum ckpt_status check(const struct agent *a, const struct message_offer_ask *ask,
                              uint32_t *slot_out, char *reason)
{
    if (!incarnation_equal(&ask->source_incarnation, &a->incarnation)) {
        return reason_refuse(reason, CKPT_ERR_STALE,
                             "the agent of node %s has been started anew since", a->config.node);
    }
    uint32_t slot = agent_shard_is_valid(&ask->shard) ? agent_slot_live(a, &ask->shard) : NONE;
    if (slot == NONE) {
        return reason_refuse(reason, CKPT_ERR_NOT_FOUND,
                             "node %s does not hold step %llu of rank %u", a->config.node,
                             (unsigned long long)ask->shard.step, ask->shard.rank);
    }
    const struct slot *s = &a->slots[slot];
    if (s->generation != ask->generation) {
        return reason_refuse(
            reason, CKPT_ERR_STALE, "slot %u of node %s has generation %llu, not %llu", slot,
            a->config.node, (unsigned long long)s->generation, (unsigned long long)ask->generation);
    }
    if (!agent_slot_may_be_read_by_peer(s)) {
        return reason_refuse(reason, CKPT_ERR_NOT_FOUND,
                             "slot %u of node %s is %s%s and may not be read", slot, a->config.node,
                             s->cached ? "cached, " : "", agent_slot_state_text(s->state));
    }
    *slot_out = slot;
    return CKPT_OK;
}

static void on_offer_ask(struct agent *a, uint32_t link, const struct message_offer_ask *ask)
{
    assert(!a->adopting);
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_PEER, link, MESSAGE_OFFER);
    assert(out != NULL);
    struct message_offer *answer = &out->message.offer;
    answer->pull = ask->pull;
    uint32_t slot = NONE;
    answer->status = check(a, ask, &slot, answer->reason);
    struct offer *offer = find(a, link, ask->pull);
    if (answer->status != CKPT_OK) {
        return;
    }
    if (offer != NULL && offer->slot != slot) {
        unpin(a, offer);
        offer = NULL;
    }
    if (offer != NULL) {
        offer->heard_ms = a->now_ms;
    } else if (!pin(a, link, ask->pull, slot)) {
        answer->status = CKPT_ERR_BUSY;
        reason_set(answer->reason, "node %s serves %u reads already: ask again later",
                   a->config.node, a->offer_count);
        return;
    }
    const struct slot *s = &a->slots[slot];
    answer->slot = slot;
    answer->generation = s->generation;
    answer->bytes = s->bytes;
    answer->segment_bytes = a->config.segment_bytes;
    out->attach = ATTACH_REGIONS;
    out->attach_slot = slot;
    out->values_key = s->digest_key == ask->values_key ? ask->values_key : DIGEST_KEY_ID_BLAKE3;
}

/* Whether the slot has kept the bytes that were offered: it is pinned by the offer, or was never
 * freed since, for it still has the generation and a state with complete bytes. */
static bool slot_lasted(const struct agent *a, const struct offer *offer,
                        const struct message_offer_done *done)
{
    assert(offer == NULL || offer->state == OFFER_PINNED);
    if (done->slot >= a->config.slots || a->slots[done->slot].generation != done->generation) {
        return false;
    }
    if (offer != NULL) {
        return offer->slot == done->slot;
    }
    const struct slot *s = &a->slots[done->slot];
    return s->state == SLOT_SEALED || s->state == SLOT_VERIFIED;
}

static void on_offer_done(struct agent *a, uint32_t link, const struct message_offer_done *done)
{
    struct offer *offer = find(a, link, done->pull);
    bool lasted = slot_lasted(a, offer, done);
    if (offer != NULL) {
        unpin(a, offer);
    }
    struct agent_outgoing *out = agent_update_message(a, AGENT_TO_PEER, link, MESSAGE_OFFER_CLOSED);
    assert(out != NULL);
    out->message.offer_closed.pull = done->pull;
    out->message.offer_closed.status = lasted ? CKPT_OK : CKPT_ERR_STALE;
}

void agent_source_message(struct agent *a, uint32_t link, const struct message *message)
{
    if (message->type == MESSAGE_OFFER_ASK) {
        on_offer_ask(a, link, &message->offer_ask);
    } else {
        assert(message->type == MESSAGE_OFFER_DONE);
        on_offer_done(a, link, &message->offer_done);
    }
}

void agent_source_peer_down(struct agent *a, uint32_t link)
{
    for (uint32_t i = 0; i < a->offer_count; i++) {
        if (a->offers[i].state == OFFER_PINNED && a->offers[i].link == link) {
            unpin(a, &a->offers[i]);
        }
    }
}

void agent_source_expire(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->offer_count; i++) {
        struct offer *offer = &a->offers[i];
        if (offer->state == OFFER_UNUSED) {
            continue;
        }
        uint64_t at_ms = offer->heard_ms + a->config.offer_pin_ms;
        if (at_ms <= a->now_ms) {
            unpin(a, offer);
        } else {
            agent_update_deadline(a, at_ms);
        }
    }
}
