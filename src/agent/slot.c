/* SPDX-License-Identifier: Apache-2.0 */
/* One slot's life. */
#include "agent/state.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"

/*           .--> FILLING --> SEALED --.
 *   FREE ---+--> PULLING -------------+--> VERIFIED
 *    ^      '--> ADOPTED -------------'
 *    '-- DIRTY <-- any; DIRTY --> FILLING, PULLING once renewed */
#define TO(state) (1U << (state))
static const unsigned allowed_moves[] = {
    [SLOT_FREE] = TO(SLOT_FILLING) | TO(SLOT_PULLING) | TO(SLOT_ADOPTED) | TO(SLOT_DIRTY),
    [SLOT_FILLING] = TO(SLOT_SEALED) | TO(SLOT_DIRTY),
    [SLOT_SEALED] = TO(SLOT_VERIFIED) | TO(SLOT_DIRTY),
    [SLOT_PULLING] = TO(SLOT_VERIFIED) | TO(SLOT_DIRTY),
    [SLOT_ADOPTED] = TO(SLOT_VERIFIED) | TO(SLOT_DIRTY),
    [SLOT_VERIFIED] = TO(SLOT_DIRTY),
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
    assert((unsigned)slot->state < sizeof(allowed_moves) / sizeof(allowed_moves[0]));
    assert((allowed_moves[slot->state] & TO(to)) != 0);
    slot->state = to;
}

/* A slot being renewed is its claimant's already, so it is found too; a doomed one is nobody's, and
 * one that waits for its number has no name yet. */
uint32_t agent_slot_live(const struct agent *a, const struct shard_key *shard)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *slot = &a->slots[i];
        if (slot->state != SLOT_FREE && !slot->doomed && !agent_slot_waits(slot) &&
            agent_shard_equal(&slot->shard, shard)) {
            return i;
        }
    }
    return AGENT_NONE;
}

uint64_t agent_slot_segments_needed(const struct agent *a, uint64_t bytes)
{
    struct room_kind kind = {.segment_bytes = a->config.segment_bytes};
    return room_whole_segments(&kind, bytes);
}

/* One whose COPY_NONE is still to be acknowledged is taken last: taking it ends the repeating. */
static uint32_t find_free(const struct agent *a)
{
    uint32_t second = AGENT_NONE;
    for (uint32_t i = 0; i < a->config.slots; i++) {
        const struct slot *slot = &a->slots[i];
        if (slot->state != SLOT_FREE) {
            continue;
        }
        if (!slot->none_pending) {
            return i;
        }
        second = second == AGENT_NONE ? i : second;
    }
    return second;
}

/* Bytes that the user's processes are filling now: nothing can be done about those until they
 * are sealed, or their process goes. */
static uint64_t filling_of(const struct agent *a, uint32_t uid)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *slot = &a->slots[i];
        bool is_filled = slot->state == SLOT_FILLING || (slot->state == SLOT_DIRTY && slot->owner);
        bytes += is_filled && slot->shard.run.uid == uid ? agent_slot_room(a, slot) : 0;
    }
    return bytes;
}

static void claim_slot(struct agent *a, struct slot *slot, const struct slot_claim *claim)
{
    assert(slot->state == SLOT_FREE && slot->segment_count == 0 && !agent_slot_is_held(slot));
    uint64_t checked = slot->generation_checked;
    uint64_t before = slot->generation;
    uint16_t *segments = slot->segments;
    memset(slot, 0, sizeof(*slot));
    slot->segments = segments;
    slot->generation_checked = checked;
    slot->generation = PLANTED_BUG(SAME_GENERATION) && before > 0 ? before : ++a->generation_last;
    slot->shard = claim->shard;
    if (claim->seat != NULL) {
        slot->seat = claim->seat->seat;
        slot->name = claim->seat->name;
        slot->insisted = claim->seat->settled ? 0 : claim->seat->attempt;
    }
    slot->world = claim->world;
    slot->copies = claim->copies;
    slot->bytes = claim->bytes;
    slot->owner = claim->owner;
    slot->cached = claim->cached;
    slot->report_due_ms = a->now_ms;
}

/* Whether a shard would get a slot, and its memory. */
bool agent_slot_has_room(const struct agent *a, uint64_t bytes, bool whole)
{
    uint64_t part = whole ? 0 : agent_part_bytes(a, bytes);
    if (find_free(a) == AGENT_NONE) {
        return false;
    }
    return (part > 0 && agent_part_fits(a, part)) ||
           agent_slot_segments_needed(a, bytes) <= a->segments_free;
}

/* A part where a part does, or segments: also where there are no more numbers of parts. */
static bool take_memory(struct agent *a, uint32_t slot, bool whole, bool *renew_out)
{
    uint64_t bytes = a->slots[slot].bytes;
    uint64_t part = whole ? 0 : agent_part_bytes(a, bytes);
    return (part > 0 && agent_part_take(a, slot, part, renew_out)) ||
           agent_segments_take(a, slot, (uint32_t)agent_slot_segments_needed(a, bytes), renew_out);
}

static enum ckpt_status check_room(const struct agent *a, const struct slot_claim *claim,
                                   enum slot_state state, char *reason)
{
    uint64_t needed = agent_slot_segments_needed(a, claim->bytes);
    uint64_t segment_bytes = a->config.segment_bytes;
    if (needed == 0 || needed > a->config.segments || needed > CKPT_SEGMENTS_PER_SHARD_MAX) {
        agent_reason(reason,
                     "a shard of %llu bytes needs %llu segments, and node %s has %u: give "
                     "its ckptd more memory",
                     (unsigned long long)claim->bytes, (unsigned long long)needed, a->config.node,
                     a->config.segments);
        return CKPT_ERR_TOO_LARGE;
    }
    uint64_t room = claim->whole ? needed * segment_bytes : agent_room_bytes(a, claim->bytes);
    uint64_t filling = state == SLOT_FILLING ? filling_of(a, claim->shard.run.uid) : 0;
    if (filling > 0 &&
        (filling + room) / AGENT_FILLING_SHARE > a->config.segments * segment_bytes / 100) {
        agent_reason(reason,
                     "processes of user %u fill %llu%% of the memory of node %s already: seal or "
                     "abandon some of them first",
                     claim->shard.run.uid,
                     (unsigned long long)(filling / (a->config.segments * segment_bytes / 100)),
                     a->config.node);
        return CKPT_ERR_FULL;
    }
    if (find_free(a) == AGENT_NONE) {
        agent_reason(reason,
                     "node %s holds %u shards, and can hold no more: wait until an older "
                     "checkpoint is retired, or give its ckptd more memory",
                     a->config.node, a->config.slots);
        return CKPT_ERR_FULL;
    }
    if (!agent_slot_has_room(a, claim->bytes, claim->whole)) {
        agent_reason(reason,
                     "node %s has %u of %u segments free and %llu are needed for %llu bytes: "
                     "wait until an older checkpoint is retired, or give its ckptd more",
                     a->config.node, a->segments_free, a->config.segments,
                     (unsigned long long)needed, (unsigned long long)claim->bytes);
        return CKPT_ERR_FULL;
    }
    return CKPT_OK;
}

/* Takes a slot and its memory, and stores its record. The slot is in `state`, or in SLOT_DIRTY
 * for as long as its memory has to be renewed first. On an error nothing has changed, and reason
 * says what was short. */
enum ckpt_status agent_slot_take(struct agent *a, const struct slot_claim *claim,
                                 enum slot_state state, uint32_t *slot_out,
                                 char reason[CKPT_REASON_MAX + 1])
{
    assert(state == SLOT_FILLING || state == SLOT_PULLING);
    assert(agent_slot_live(a, &claim->shard) == AGENT_NONE);
    enum ckpt_status status = check_room(a, claim, state, reason);
    if (status != CKPT_OK) {
        return status;
    }
    uint32_t slot = find_free(a);
    struct slot *s = &a->slots[slot];
    claim_slot(a, s, claim);
    a->slots_high = slot >= a->slots_high ? slot + 1 : a->slots_high;
    bool renew;
    bool taken = take_memory(a, slot, claim->whole, &renew);
    assert(taken);
    (void)taken;
    agent_slot_move(s, renew ? SLOT_DIRTY : state);
    s->renew_wanted = renew;
    agent_update_record(a, slot);
    *slot_out = slot;
    return CKPT_OK;
}

/* Whatever keeps the slot's memory from being given away. */
bool agent_slot_is_held(const struct slot *slot)
{
    bool works = slot->work != 0 && !PLANTED_BUG(FREE_WHILE_WRITTEN);
    bool loaned = slot->loans != 0 && !PLANTED_BUG(FREE_WHILE_READ);
    return works || slot->offers != 0 || loaned || slot->state == SLOT_FILLING;
}

static void become_dirty(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    assert(s->doomed);
    s->renew_wanted = false;
    s->digest_wanted = false;
    s->verify_pending = false;
    s->cancel_wanted =
        s->work != 0 && (s->work_type == AGENT_WORK_READ || s->work_type == AGENT_WORK_GATHER);
    if (s->state != SLOT_DIRTY) {
        agent_slot_move(s, SLOT_DIRTY);
        s->record_pending = true;
    }
    (void)a;
}

/* The copy does not count any more and its memory is freed when nothing holds it. The writer of a
 * FILLING slot holds it: what it still writes must not land in another shard. */
void agent_slot_doom(struct agent *a, uint32_t slot)
{
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

/* The rank has abandoned the slot, is gone, or has sealed a doomed one. */
void agent_slot_writer_gone(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_FILLING || s->state == SLOT_DIRTY);
    s->doomed = true;
    become_dirty(a, slot);
}

/* The digest is of this incarnation, over the memory as it is: the copy counts from now on. */
void agent_slot_verified(struct agent *a, uint32_t slot, const struct digest *digest)
{
    struct slot *s = &a->slots[slot];
    assert(!s->doomed && s->segment_count > 0);
    s->digest = *digest;
    s->found = *digest;
    s->has_digest = true;
    agent_slot_move(s, SLOT_VERIFIED);
    s->unread_since_ms = a->now_ms;
    agent_update_record(a, slot);
    agent_report_wanted(a, slot);
}

/* Found to have changed since its first digest. */
bool agent_slot_is_bad(const struct slot *slot)
{
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

void agent_slot_unloan(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    assert(s->loans > 0);
    s->loans--;
    if (s->loans == 0 && s->cached && !PLANTED_BUG(READER_GONE)) {
        agent_slot_doom(a, slot);
    }
}

/* A cached copy whose reader went away before the verdict came has no last reader to free it. */
void agent_slots_expire(struct agent *a)
{
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

/* Slots are taken from the low end, so that what goes over them all goes over few. */
void agent_slots_lower(struct agent *a)
{
    while (a->slots_high > 0) {
        const struct slot *s = &a->slots[a->slots_high - 1];
        if (s->state != SLOT_FREE || s->none_pending || s->record_pending) {
            return;
        }
        a->slots_high--;
    }
}
