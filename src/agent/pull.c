/* SPDX-License-Identifier: Apache-2.0 */
/* One pull's way from its order to a verified copy: its states, what is due, how it ends. */
#include "agent/pull.h"

#include <assert.h>
#include <string.h>

#include "agent/digest_key.h"
#include "agent/identity.h"
#include "agent/load_table.h"
#include "agent/note.h"
#include "agent/peer.h"
#include "agent/pull_failure.h"
#include "agent/pull_table.h"
#include "agent/slot.h"
#include "agent/slot_claim.h"
#include "agent/update.h"
#include "agent/work.h"
#include "base/planted_bug.h"
#include "base/reason.h"

/* So often does a long read say that it goes on, in the time that a pin lasts without a word. */
#define PIN_WORDS 4

static bool send_offer_done(struct agent *a, const struct pull *pull)
{
    assert(pull->source.offered);
    struct agent_outgoing *out = agent_update_message(
        a, AGENT_TO_PEER, a->peers[pull->source.peer].link, MESSAGE_OFFER_DONE);
    if (out == NULL) {
        return false;
    }
    out->message.offer_done.pull = pull->number;
    out->message.offer_done.slot = pull->source.slot;
    out->message.offer_done.generation = pull->source.generation;
    return true;
}

/* The slot becomes nobody's, the source's pin is given back as far as one message can, and the
 * entry is free. Nothing is reported. */
static void leave(struct agent *a, struct pull *pull, bool suspect)
{
    assert(pull->state != PULL_UNUSED);
    bool stays = PLANTED_BUG(CALLED_OFF_STAYS) && pull->state == PULL_ASKING && !suspect &&
                 a->coordinator.state == LINK_JOINED;
    if (pull->slot != NONE && a->slots[pull->slot].state != SLOT_VERIFIED && !stays) {
        assert(a->slots[pull->slot].generation == pull->generation);
        agent_slot_doom(a, pull->slot);
    }
    if (pull->source.peer != NONE) {
        if (pull->source.offered && pull->state != PULL_CLOSING && !suspect &&
            agent_update_has_room(a)) {
            send_offer_done(a, pull);
        }
        agent_peer_release(a, pull->source.peer, suspect);
    }
    if (pull->load != NONE) {
        assert(a->loads[pull->load].pull == pull->number);
        a->loads[pull->load].pull = 0; /* range.c goes on from there */
    }
    agent_pull_move(a, pull, PULL_UNUSED);
}

static uint64_t pin_word_due_ms(const struct agent *a)
{
    return a->now_ms + a->config.offer_pin_ms / PIN_WORDS;
}

void agent_pull_read(struct agent *a, struct pull *pull)
{
    assert(pull->source.offered);
    bool started = agent_work_read_start(a, pull->slot, a->peers[pull->source.peer].link);
    assert(started && "an event's update begins empty");
    (void)started;
    agent_pull_move(a, pull, PULL_READING);
    pull->due_ms = pin_word_due_ms(a);
}

void agent_pull_succeed(struct agent *a, struct pull *pull)
{
    struct slot *s = &a->slots[pull->slot];
    assert(pull->state == PULL_CLOSING);
    assert(s->generation == pull->generation);
    s->verify = (struct order){pull->life, pull->order.order}; /* a repeat is reported again */
    s->report_order = pull->order.order;
    agent_slot_verified(a, pull->slot, &pull->digest, pull->digest_key);
    uint32_t slot = pull->slot;
    leave(a, pull, false);
    (void)agent_digest_key_check(a, slot); /* another may have been told since it was read */
}

void agent_pull_drop(struct agent *a, struct pull *pull)
{
    assert(pull->state != PULL_UNUSED);
    leave(a, pull, false);
}

void agent_pull_fail(struct agent *a, struct pull *pull, enum ckpt_status status,
                     const char *reason)
{
    assert(status != CKPT_OK);
    char text[CKPT_REASON_MAX + 1];
    reason_set(text, "pull of step %llu rank %u from %.63s: %.120s",
               (unsigned long long)pull->order.shard.step, pull->order.shard.rank,
               pull->source.node, reason);
    if (pull->load != NONE) {
        a->loads[pull->load].source_failed = true;
        agent_note(a, EVENT_range_failed, &pull->order.shard, "%s", text);
        leave(a, pull, status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_LINK);
        return;
    }
    agent_pull_fail_order(a, &pull->order, pull->life, status, text);
    leave(a, pull, status == CKPT_ERR_TIMEOUT || status == CKPT_ERR_LINK);
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

void agent_pull_range_done(struct agent *a, struct pull *pull, const struct digest *digest)
{
    assert(pull->state == PULL_READING);
    struct load *load = &a->loads[pull->load];
    const struct slot *s = &a->slots[pull->slot];
    if (!digest_equal(digest, &load->digest) && !PLANTED_BUG(RANGE_BELIEVED)) {
        agent_pull_fail(a, pull, CKPT_ERR_DIGEST,
                        "its bytes and its values of the others do not fold into the commit's");
        return;
    }
    agent_note(a, EVENT_range_fetched, &pull->order.shard,
               "%llu bytes of %llu were read from node %s", (unsigned long long)s->bytes,
               (unsigned long long)s->shard_bytes, pull->source.node);
    agent_load_lend(a, load, pull->slot);
    if (PLANTED_BUG(RANGE_REPORTED)) {
        agent_slot_verified(a, pull->slot, digest, s->work_key);
    }
    pull->slot = NONE; /* its reader's, who frees it */
    leave(a, pull, false);
}

/* An earlier read into memory for the same shard has been cancelled and has not ended. */
static bool waits_for_earlier(const struct agent *a, const struct pull *pull)
{
    assert(pull->state == PULL_QUEUED);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->doomed && s->work != 0 && shard_key_equal(&s->shard, &pull->order.shard)) {
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

static struct slot_claim claim_of(const struct agent *a, const struct pull *pull)
{
    assert(pull->order.bytes > 0);
    struct slot_claim claim = {
        .shard = pull->order.shard,
        .world = pull->order.world,
        .copies = pull->order.copies,
        .bytes = pull->order.bytes,
        .cached = pull->order.purpose == PULL_FETCH,
    };
    if (pull->load != NONE) {
        const struct load *load = &a->loads[pull->load];
        uint64_t chunk = a->config.chunk_bytes;
        uint64_t last = (load->range_offset + load->range_bytes - 1) / chunk;
        uint64_t shard_bytes = pull->order.bytes;
        uint64_t end = last < shard_bytes / chunk ? (last + 1) * chunk : shard_bytes;
        claim.shard_bytes = shard_bytes;
        claim.chunk_first = load->range_offset / chunk;
        claim.bytes = end - claim.chunk_first * chunk;
        claim.whole = !a->sessions[load->session].asked.takes_parts;
    }
    return claim;
}

static void cannot_begin(struct agent *a, struct pull *pull, enum ckpt_status status,
                         const char *reason)
{
    assert(pull->slot == NONE);
    if (pull->load == NONE) {
        agent_pull_fail_order(a, &pull->order, pull->life, status, reason);
    }
    leave(a, pull, false);
}

static void begin(struct agent *a, struct pull *pull)
{
    assert(pull->state == PULL_QUEUED);
    char reason[CKPT_REASON_MAX + 1];
    const struct slot_claim claim = claim_of(a, pull);
    uint32_t slot = pull->load == NONE ? agent_slot_live(a, &claim.shard) : NONE;
    enum ckpt_status status = CKPT_ERR_BUSY;
    reason_set(reason, "this node's own rank has begun to write it");
    if (slot == NONE) {
        status = agent_slot_claim(a, &claim, SLOT_PULLING, &slot, reason);
    }
    if (status != CKPT_OK) {
        cannot_begin(a, pull, status, reason);
        return;
    }
    pull->slot = slot;
    pull->generation = a->slots[slot].generation;
    agent_pull_move(a, pull, a->slots[slot].state == SLOT_PULLING ? PULL_ASKING : PULL_RENEWING);
}

static bool send_offer_ask(struct agent *a, const struct pull *pull)
{
    assert(pull->source.peer != NONE);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_PEER, a->peers[pull->source.peer].link, MESSAGE_OFFER_ASK);
    if (out == NULL) {
        return false;
    }
    struct message_offer_ask *ask = &out->message.offer_ask;
    ask->pull = pull->number;
    ask->shard = pull->order.shard;
    ask->source_incarnation = pull->source.incarnation;
    ask->generation = pull->source.generation;
    ask->values_key = pull->load != NONE ? digest_key_id(&pull->order.key) : DIGEST_KEY_ID_BLAKE3;
    return true;
}

/* Asks for the bytes, or says that they are here; while they are read, an ask is the word that
 * keeps the source's slot pinned. False: no room for more in this turn. */
static bool turn_to_source(struct agent *a, struct pull *pull)
{
    struct pull_source *source = &pull->source;
    assert(source->kind == PULL_FROM_AGENT);
    if (source->peer == NONE) {
        source->peer = agent_peer_claim(a, source->address);
    }
    if (source->peer == NONE) {
        return false;
    }
    bool said = pull->state == PULL_CLOSING ? send_offer_done(a, pull) : send_offer_ask(a, pull);
    assert(said);
    (void)said;
    return true;
}

/* Says what is due. False: no room for more in this turn. */
static bool drive(struct agent *a, struct pull *pull)
{
    assert(agent_pull_is_at_source(pull));
    assert(pull->slot != NONE);
    uint64_t ends_ms = pull->since_ms + a->config.pull_timeout_ms;
    if (pull->source.peer != NONE && a->peers[pull->source.peer].lookup_until_ms > ends_ms) {
        ends_ms = a->peers[pull->source.peer].lookup_until_ms;
    }
    if (pull->state != PULL_READING && ends_ms <= a->now_ms) {
        agent_pull_fail(a, pull, CKPT_ERR_TIMEOUT, "it does not answer");
        return true;
    }
    if (pull->due_ms <= a->now_ms) {
        if (!agent_update_has_room(a)) {
            return false;
        }
        if (!turn_to_source(a, pull)) {
            return false;
        }
        pull->due_ms =
            pull->state == PULL_READING ? pin_word_due_ms(a) : a->now_ms + a->config.resend_ms;
    }
    agent_update_deadline(a, pull->due_ms);
    if (pull->state != PULL_READING) {
        agent_update_deadline(a, ends_ms);
    }
    return true;
}

void agent_pulls_pump(struct agent *a)
{
    assert(a->update != NULL);
    while (agent_pulls_under_way(a) < a->config.pulls_max) {
        struct pull *pull = next_queued(a);
        if (pull == NULL || !agent_update_has_room(a)) {
            break;
        }
        begin(a, pull);
    }
    for (uint32_t i = 0; i < a->pull_count; i++) {
        if (agent_pull_is_at_source(&a->pulls[i]) && !drive(a, &a->pulls[i])) {
            return;
        }
    }
    if (agent_pulls_under_way(a) < a->config.pulls_max && next_queued(a) != NULL) {
        a->update->again = true; /* one has just failed and made room */
    }
}
