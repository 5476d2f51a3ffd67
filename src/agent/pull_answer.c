/* SPDX-License-Identifier: Apache-2.0 */
/* What a pull's source and its works answer.
 *
 * Answers of a source carry the pull's number, which no other pull of this agent has, and the
 * source's incarnation; a late or repeated one finds its pull gone or in another state, and changes
 * nothing. So their sequence is not looked at. */
#include "agent/pull_answer.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/peer.h"
#include "agent/pull.h"
#include "agent/pull_table.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "digest/fingerprint.h"

void agent_pull_renewed(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    struct pull *pull = agent_pull_of_slot(a, slot);
    assert(pull != NULL);
    assert(pull->state == PULL_RENEWING);
    if (status != CKPT_OK) {
        agent_pull_fail(a, pull, CKPT_ERR_SYSTEM, "memory of another user could not be renewed");
        return;
    }
    agent_slot_move(&a->slots[slot], SLOT_PULLING);
    agent_update_record(a, slot);
    agent_pull_move(a, pull, PULL_ASKING);
}

void agent_pull_read_done(struct agent *a, uint32_t slot, const struct agent_event *event)
{
    struct pull *pull = agent_pull_of_slot(a, slot);
    assert(pull != NULL);
    assert(pull->state == PULL_READING);
    if (event->status != CKPT_OK) {
        agent_pull_fail(a, pull, event->status, "the transport could not read the source's memory");
        return;
    }
    if (pull->load != NONE) {
        agent_pull_range_done(a, pull, &event->digest);
        return;
    }
    pull->digest = event->digest;
    pull->digest_key = a->slots[slot].work_key;
    agent_pull_move(a, pull, PULL_CLOSING);
}

static const char *what_is_wrong(const struct agent *a, const struct pull *pull,
                                 const struct message_offer *offer)
{
    assert(pull->state == PULL_ASKING);
    if (offer->generation != pull->source.generation) {
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
    if (pull->load != NONE && offer->values_bytes / FINGERPRINT_VALUE_BYTES !=
                                  (offer->bytes - 1) / a->config.chunk_bytes + 1) {
        return "it has no values of the shard's chunks to tell";
    }
    return NULL;
}

static void on_offer(struct agent *a, struct pull *pull, const struct message_offer *offer)
{
    assert(pull->source.peer != NONE);
    if (pull->state != PULL_ASKING) {
        return; /* the answer to a repeat */
    }
    if (offer->status != CKPT_OK) {
        agent_pull_fail(a, pull, offer->status,
                        agent_text_ends(offer->reason, CKPT_REASON_MAX) ? offer->reason
                                                                        : "refused");
        return;
    }
    pull->source.offered = true;
    pull->source.slot = offer->slot;
    const char *wrong = what_is_wrong(a, pull, offer);
    if (wrong != NULL) {
        agent_pull_fail(a, pull, CKPT_ERR_PROTOCOL, wrong);
        return;
    }
    agent_pull_read(a, pull);
}

static void on_offer_closed(struct agent *a, struct pull *pull,
                            const struct message_offer_closed *closed)
{
    assert(pull->source.peer != NONE);
    if (pull->state != PULL_CLOSING) {
        return;
    }
    if (closed->status != CKPT_OK) {
        agent_pull_fail(a, pull, closed->status, "the source's slot did not last to the end");
        return;
    }
    agent_pull_succeed(a, pull);
}

void agent_pull_message(struct agent *a, uint32_t link, const struct message *message)
{
    bool is_offer = message->type == MESSAGE_OFFER;
    assert(is_offer || message->type == MESSAGE_OFFER_CLOSED);
    uint64_t number = is_offer ? message->offer.pull : message->offer_closed.pull;
    for (uint32_t i = 0; i < a->pull_count; i++) {
        struct pull *pull = &a->pulls[i];
        if (!agent_pull_is_at_source(pull) || pull->number != number ||
            a->peers[pull->source.peer].link != link) {
            continue;
        }
        if (!incarnation_equal(&message->incarnation, &pull->source.incarnation)) {
            if (pull->state != PULL_READING) {
                agent_pull_fail(a, pull, CKPT_ERR_STALE, "the source has been started anew");
            }
        } else if (is_offer) {
            on_offer(a, pull, &message->offer);
        } else {
            on_offer_closed(a, pull, &message->offer_closed);
        }
        return;
    }
}

void agent_pull_peer_up(struct agent *a, uint32_t link)
{
    uint32_t peer = agent_peer_by_link(a, link);
    if (peer == NONE || a->peers[peer].lookup_until_ms == 0) {
        return;
    }
    a->peers[peer].lookup_until_ms = 0;
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (agent_pull_is_at_source(&a->pulls[i]) && a->pulls[i].source.peer == peer) {
            a->pulls[i].since_ms = a->now_ms;
        }
    }
}

void agent_pull_peer_down(struct agent *a, uint32_t link)
{
    uint32_t peer = agent_peer_by_link(a, link);
    if (peer == NONE) {
        return;
    }
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (agent_pull_is_at_source(&a->pulls[i]) && a->pulls[i].source.peer == peer) {
            agent_pull_fail(a, &a->pulls[i], CKPT_ERR_LINK, "its connection was lost or refused");
        }
    }
    assert(a->peers[peer].pulls == 0);
    memset(&a->peers[peer], 0, sizeof(a->peers[peer]));
}
