/* SPDX-License-Identifier: Apache-2.0 */
/* Which slot and which memory a shard gets that comes, and what is said when there is none. */
#include "agent/slot_claim.h"

#include <assert.h>
#include <string.h>

#include "agent/part.h"
#include "agent/segment.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/planted_bug.h"
#include "base/reason.h"

uint64_t agent_slot_segments_needed(const struct agent *a, uint64_t bytes)
{
    struct room_kind kind = {.segment_bytes = a->config.segment_bytes};
    return room_whole_segments(&kind, bytes);
}

/* One whose COPY_NONE is still to be acknowledged is taken last: taking it ends the repeating. */
static uint32_t find_free(const struct agent *a)
{
    uint32_t second = NONE;
    for (uint32_t i = 0; i < a->config.slots; i++) {
        const struct slot *slot = &a->slots[i];
        if (slot->state != SLOT_FREE) {
            continue;
        }
        if (!slot->none_pending) {
            return i;
        }
        second = second == NONE ? i : second;
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

static void begin_generation(struct agent *a, struct slot *slot, const struct slot_claim *claim)
{
    assert(slot->state == SLOT_FREE);
    assert(slot->segment_count == 0);
    assert(!agent_slot_is_held(slot));
    assert(claim->bytes > 0);
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
    slot->shard_bytes = claim->shard_bytes;
    slot->chunk_first = claim->chunk_first;
    slot->owner = claim->owner;
    slot->cached = claim->cached;
    slot->report_due_ms = a->now_ms;
}

bool agent_slot_has_room(const struct agent *a, uint64_t bytes, bool whole)
{
    uint64_t part = whole ? 0 : agent_part_bytes(a, bytes);
    if (find_free(a) == NONE) {
        return false;
    }
    return (part > 0 && agent_part_fits(a, part)) ||
           agent_slot_segments_needed(a, bytes) <= a->segments_free;
}

/* A part where a part does, or segments: also where there are no more numbers of parts. */
static bool claim_memory(struct agent *a, uint32_t slot, bool whole, bool *renew_out)
{
    assert(a->slots[slot].segment_count == 0);
    uint64_t bytes = a->slots[slot].bytes;
    uint64_t part = whole ? 0 : agent_part_bytes(a, bytes);
    return (part > 0 && agent_part_claim(a, slot, part, renew_out)) ||
           agent_segments_claim(a, slot, (uint32_t)agent_slot_segments_needed(a, bytes), renew_out);
}

static enum ckpt_status check_room(const struct agent *a, const struct slot_claim *claim,
                                   enum slot_state state, char *reason)
{
    assert(state == SLOT_FILLING || state == SLOT_PULLING);
    uint64_t needed = agent_slot_segments_needed(a, claim->bytes);
    uint64_t segment_bytes = a->config.segment_bytes;
    if (needed == 0 || needed > a->config.segments || needed > CKPT_SEGMENTS_PER_SHARD_MAX) {
        return reason_refuse(reason, CKPT_ERR_TOO_LARGE,
                             "a shard of %llu bytes needs %llu segments, and node %s has %u: give "
                             "its ckptd more memory",
                             (unsigned long long)claim->bytes, (unsigned long long)needed,
                             a->config.node, a->config.segments);
    }
    uint64_t room = claim->whole ? needed * segment_bytes : agent_room_bytes(a, claim->bytes);
    uint64_t filling = state == SLOT_FILLING ? filling_of(a, claim->shard.run.uid) : 0;
    if (filling > 0 &&
        (filling + room) / AGENT_FILLING_SHARE > a->config.segments * segment_bytes / 100) {
        return reason_refuse(
            reason, CKPT_ERR_FULL,
            "processes of user %u fill %llu%% of the memory of node %s already: seal or "
            "abandon some of them first",
            claim->shard.run.uid,
            (unsigned long long)(filling / (a->config.segments * segment_bytes / 100)),
            a->config.node);
    }
    if (find_free(a) == NONE) {
        return reason_refuse(reason, CKPT_ERR_FULL,
                             "node %s holds %u shards, and can hold no more: wait until an older "
                             "checkpoint is retired, or give its ckptd more memory",
                             a->config.node, a->config.slots);
    }
    if (!agent_slot_has_room(a, claim->bytes, claim->whole)) {
        return reason_refuse(
            reason, CKPT_ERR_FULL,
            "node %s has %u of %u segments free and %llu are needed for %llu bytes: "
            "wait until an older checkpoint is retired, or give its ckptd more",
            a->config.node, a->segments_free, a->config.segments, (unsigned long long)needed,
            (unsigned long long)claim->bytes);
    }
    return CKPT_OK;
}

bool agent_slot_is_ahead(const struct agent *a)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (a->slots[i].prepares && a->slots[i].state != SLOT_FREE) {
            assert(a->slots[i].doomed);
            return true;
        }
    }
    return false;
}

bool agent_slot_claim_ahead(struct agent *a, const struct slot_claim *claim, uint32_t *slot_out)
{
    assert(claim->seat == NULL);
    assert(!claim->owner);
    uint32_t slot = find_free(a);
    uint64_t part = claim->whole ? 0 : agent_part_bytes(a, claim->bytes);
    if (slot == NONE || a->slots[slot].none_pending) {
        return false;
    }
    assert(claim->copies > 0);
    assert(claim->world > claim->shard.rank);
    struct slot *s = &a->slots[slot];
    const struct slot before = *s;
    begin_generation(a, s, claim);
    s->prepares = true;
    uint32_t needed = (uint32_t)agent_slot_segments_needed(a, claim->bytes);
    if (part > 0 ? !agent_part_claim_ahead(a, slot, part)
                 : !agent_segments_claim_ahead(a, slot, needed)) {
        *s = before;
        return false;
    }
    a->slots_high = slot >= a->slots_high ? slot + 1 : a->slots_high;
    agent_slot_move(s, SLOT_DIRTY);
    s->doomed = true;
    s->renew_wanted = true;
    agent_update_record(a, slot);
    *slot_out = slot;
    return true;
}

enum ckpt_status agent_slot_claim(struct agent *a, const struct slot_claim *claim,
                                  enum slot_state state, uint32_t *slot_out,
                                  char reason[CKPT_REASON_MAX + 1])
{
    assert(state == SLOT_FILLING || state == SLOT_PULLING);
    assert(claim->shard_bytes != 0 || agent_slot_live(a, &claim->shard) == NONE);
    assert(claim->copies > 0);
    enum ckpt_status status = check_room(a, claim, state, reason);
    if (status != CKPT_OK) {
        return status;
    }
    uint32_t slot = find_free(a);
    struct slot *s = &a->slots[slot];
    begin_generation(a, s, claim);
    a->slots_high = slot >= a->slots_high ? slot + 1 : a->slots_high;
    bool renew;
    bool taken = claim_memory(a, slot, claim->whole, &renew);
    assert(taken);
    (void)taken;
    agent_slot_move(s, renew ? SLOT_DIRTY : state);
    s->renew_wanted = renew;
    agent_update_record(a, slot);
    *slot_out = slot;
    return CKPT_OK;
}
