/* SPDX-License-Identifier: Apache-2.0 */
/* One slot's life. */
#include "agent/slot.h"

#include <assert.h>
#include <string.h>

#include "agent/segment.h"
#include "agent/update.h"
#include "base/planted_bug.h"

/*           .--> FILLING --> SEALED --.
 *   FREE ---+--> PULLING -------------+--> VERIFIED
 *    ^      '--> ADOPTED -------------'
 *    '-- DIRTY <-- any; DIRTY --> FILLING, PULLING once renewed; VERIFIED --> ADOPTED where the run
 *        has another key now */
static const unsigned moves[] = {
    [SLOT_FREE] = TO(SLOT_FILLING) | TO(SLOT_PULLING) | TO(SLOT_ADOPTED) | TO(SLOT_DIRTY),
    [SLOT_FILLING] = TO(SLOT_SEALED) | TO(SLOT_DIRTY),
    [SLOT_SEALED] = TO(SLOT_VERIFIED) | TO(SLOT_DIRTY),
    [SLOT_PULLING] = TO(SLOT_VERIFIED) | TO(SLOT_DIRTY),
    [SLOT_ADOPTED] = TO(SLOT_VERIFIED) | TO(SLOT_DIRTY),
    [SLOT_VERIFIED] = TO(SLOT_ADOPTED) | TO(SLOT_DIRTY),
    [SLOT_DIRTY] = TO(SLOT_FREE) | TO(SLOT_FILLING) | TO(SLOT_PULLING),
};

const char *agent_slot_state_text(enum slot_state state)
{
    static const char *const texts[] = {"free",    "filling",  "sealed", "pulling",
                                        "adopted", "verified", "dirty"};
    assert((unsigned)state < sizeof(texts) / sizeof(texts[0]));
    return texts[state];
}

void agent_slot_move(struct slot *slot, enum slot_state to)
{
    assert(MAY_MOVE(moves, slot->state, to));
    slot->state = to;
}

enum copy_state agent_copy_state(const struct slot *slot)
{
    if (slot->doomed) {
        return COPY_NONE;
    }
    switch (slot->state) {
    case SLOT_SEALED:
        return COPY_SEALED;
    case SLOT_ADOPTED:
        return COPY_ADOPTED;
    case SLOT_VERIFIED:
        return COPY_VERIFIED;
    case SLOT_FREE:
    case SLOT_FILLING:
    case SLOT_PULLING:
    case SLOT_DIRTY:
        break;
    }
    return COPY_NONE;
}

bool agent_slot_waits(const struct slot *slot)
{
    return slot->state != SLOT_FREE && slot->owner && slot->shard.attempt == 0;
}

bool agent_slot_is_range(const struct slot *slot)
{
    assert(slot->shard_bytes == 0 || slot->cached);
    return slot->shard_bytes != 0;
}

/* A slot being renewed is its claimant's already, so it is found too; a doomed one is nobody's, and
 * one that waits for its number has no name yet. */
uint32_t agent_slot_live(const struct agent *a, const struct shard_key *shard)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *slot = &a->slots[i];
        if (slot->state != SLOT_FREE && !slot->doomed && !agent_slot_waits(slot) &&
            !agent_slot_is_range(slot) && shard_key_equal(&slot->shard, shard)) {
            return i;
        }
    }
    return NONE;
}

bool agent_slot_is_held(const struct slot *slot)
{
    bool works = slot->work != 0 && !PLANTED_BUG(FREE_WHILE_WRITTEN);
    bool loaned = slot->loans != 0 && !PLANTED_BUG(FREE_WHILE_READ);
    bool prepares = slot->prepares && (slot->renew_wanted || PLANTED_BUG(PREPARE_FOR_EVER));
    return works || slot->offers != 0 || slot->persists != 0 || loaned || prepares ||
           slot->state == SLOT_FILLING;
}

bool agent_slot_is_bad(const struct slot *slot)
{
    assert(slot->state != SLOT_FREE);
    return slot->has_digest &&
           memcmp(slot->digest.bytes, slot->found.bytes, sizeof(slot->digest.bytes)) != 0;
}

bool agent_slot_may_be_read_by_peer(const struct slot *slot)
{
    return !slot->doomed && !slot->cached &&
           (slot->state == SLOT_SEALED ||
            (slot->state == SLOT_VERIFIED && !agent_slot_is_bad(slot)));
}

/* One that is being digested again may be found changed: the ask goes on until that has ended. */
bool agent_slot_may_be_loaned(const struct slot *slot)
{
    return slot->state == SLOT_VERIFIED && !slot->doomed && !slot->verify_pending &&
           !agent_slot_is_bad(slot);
}

/* A copy that is proven again may be lent from before. */
bool agent_slot_may_be_held(const struct slot *slot)
{
    return slot->doomed || slot->state == SLOT_VERIFIED || slot->state == SLOT_ADOPTED ||
           (slot->state == SLOT_PULLING && agent_slot_is_range(slot));
}

void agent_report_wanted(struct agent *a, uint32_t slot)
{
    assert(slot < a->config.slots);
    struct slot *s = &a->slots[slot];
    assert(agent_copy_state(s) != COPY_NONE);
    if (agent_slot_waits(s)) {
        return; /* it has no name to be told by */
    }
    s->acked = false;
    s->report_due_ms = a->now_ms;
}

static void become_dirty(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    assert(s->segment_count > 0);
    assert(s->doomed);
    s->renew_wanted = false;
    s->digest_wanted = false;
    s->verify_pending = false;
    s->name_pending = false;
    s->name_due = false;
    s->cancel_wanted =
        s->work != 0 && !s->scrub_cancelled &&
        (s->work_type == AGENT_WORK_READ || s->work_type == AGENT_WORK_GATHER || s->work_scrubs);
    if (s->state != SLOT_DIRTY) {
        agent_slot_move(s, SLOT_DIRTY);
        s->record_pending = true;
    }
    (void)a;
}

void agent_slot_doom(struct agent *a, uint32_t slot)
{
    assert(slot < a->config.slots);
    struct slot *s = &a->slots[slot];
    assert(s->state != SLOT_FREE);
    if (s->doomed) {
        return;
    }
    if (agent_copy_state(s) != COPY_NONE && !agent_slot_waits(s)) {
        s->none_pending = true;
        s->report_due_ms = a->now_ms;
        if (s->verify_pending) {
            s->report_order = s->verify.number;
        }
    }
    s->doomed = true;
    if (s->state != SLOT_FILLING) {
        become_dirty(a, slot);
    }
}

void agent_slot_writer_gone(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    assert(s->owner);
    assert(s->state == SLOT_FILLING || s->state == SLOT_DIRTY);
    s->doomed = true;
    become_dirty(a, slot);
}

void agent_slot_verified(struct agent *a, uint32_t slot, const struct digest *digest,
                         uint64_t digest_key)
{
    assert(slot < a->config.slots);
    struct slot *s = &a->slots[slot];
    assert(!s->doomed);
    assert(s->segment_count > 0);
    s->digest = *digest;
    s->found = *digest;
    s->digest_key = digest_key;
    s->has_digest = true;
    s->proven_ms = s->work_began_ms;
    agent_slot_move(s, SLOT_VERIFIED);
    s->unread_since_ms = a->now_ms;
    agent_update_record(a, slot);
    agent_report_wanted(a, slot);
}

void agent_slot_unloan(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    assert(agent_slot_may_be_held(s));
    assert(s->loans > 0);
    s->loans--;
    if (s->loans == 0 && s->cached && !PLANTED_BUG(READER_GONE)) {
        agent_slot_doom(a, slot);
    }
}

/* A cached copy whose reader went away before the verdict came has no last reader to free it. */
void agent_slots_expire(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (s->state != SLOT_VERIFIED || !s->cached || s->loans > 0 || PLANTED_BUG(READER_GONE)) {
            continue;
        }
        uint64_t at_ms = s->unread_since_ms + a->config.load_timeout_ms;
        if (at_ms <= a->now_ms) {
            agent_slot_doom(a, i);
        } else {
            agent_update_deadline(a, at_ms);
        }
    }
}

/* Segments are free only when the record that says so is stored with or before their next one. */
void agent_slots_free_pump(struct agent *a)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (!s->doomed || agent_slot_is_held(s)) {
            continue;
        }
        assert(s->state == SLOT_DIRTY);
        if (a->update->record_count == AGENT_RECORDS_MAX) {
            a->update->again = true;
            return;
        }
        agent_segments_free_of(a, i);
        agent_slot_move(s, SLOT_FREE);
        s->doomed = false;
        s->cancel_wanted = false;
        agent_update_record(a, i);
    }
}

void agent_slots_lower(struct agent *a)
{
    assert(a->slots_high <= a->config.slots);
    while (a->slots_high > 0) {
        const struct slot *s = &a->slots[a->slots_high - 1];
        if (s->state != SLOT_FREE || s->none_pending || s->record_pending) {
            return;
        }
        a->slots_high--;
    }
}
