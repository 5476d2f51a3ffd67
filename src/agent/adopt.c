/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent before this one left in the arena. Nothing of it counts before its bytes are
 * digested again. */
#include "agent/adopt.h"

#include <assert.h>

#include "agent/identity.h"
#include "agent/note.h"
#include "agent/part.h"
#include "agent/seat.h"
#include "agent/segment.h"
#include "agent/slot.h"
#include "agent/slot_claim.h"
#include "base/planted_bug.h"

static bool segments_are_free(const struct agent *a, const struct slot_record *record)
{
    assert(record->slot < a->config.slots);
    if (record->part.bytes > 0) {
        return agent_part_may_be_adopted(a, record);
    }
    if (record->segment_count > a->config.segments ||
        record->segment_count > CKPT_SEGMENTS_PER_SHARD_MAX ||
        record->segment_count != agent_slot_segments_needed(a, record->bytes)) {
        return false;
    }
    for (uint32_t i = 0; i < record->segment_count; i++) {
        uint16_t id = record->segments[i];
        if (id >= a->config.segments || a->segments[id].slot != NONE ||
            a->segments[id].parts_used > 0) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (record->segments[j] == id) {
                return false;
            }
        }
    }
    return true;
}

static bool record_is_valid(const struct agent *a, const struct slot_record *record)
{
    assert(a->adopting);
    return agent_shard_is_valid(&record->shard) && record->world <= CKPT_WORLD_MAX &&
           record->shard.rank < record->world && record->copies >= 1 &&
           record->copies <= CKPT_COPIES_MAX && record->bytes > 0 && segments_are_free(a, record);
}

static void adopt_segments(struct agent *a, uint32_t slot, const struct slot_record *record)
{
    assert(slot < a->config.slots);
    struct slot *s = &a->slots[slot];
    if (record->part.bytes > 0) {
        agent_part_adopt(a, slot, record);
        return;
    }
    uint64_t tag = agent_rank_tag(&s->shard.run, s->shard.rank);
    assert(s->segment_count == 0);
    assert(a->segments_free >= record->segment_count);
    for (uint32_t i = 0; i < record->segment_count; i++) {
        struct segment *segment = &a->segments[record->segments[i]];
        segment->slot = slot;
        segment->place = (uint16_t)i;
        segment->used = true;
        /* Dirty: its renewal for this user may not have been done. */
        segment->unknown = record->state == SLOT_DIRTY;
        segment->uid = s->shard.run.uid;
        segment->tag = tag;
        segment->generation = record->generation;
        s->segments[i] = record->segments[i];
    }
    s->segment_count = record->segment_count;
    a->segments_free -= record->segment_count;
}

/* Complete bytes that no other slot has too; a rank's cached copies have lost their readers. */
static bool is_worth_keeping(struct agent *a, const struct slot_record *record)
{
    assert(a->slots[record->slot].state == SLOT_FREE);
    switch (record->state) {
    case SLOT_SEALED:
    case SLOT_ADOPTED:
    case SLOT_VERIFIED:
        break;
    case SLOT_FREE:
    case SLOT_FILLING:
    case SLOT_PULLING:
    case SLOT_DIRTY:
        return false;
    }
    if (record->cached) {
        return false;
    }
    uint32_t other = record->shard.attempt != 0 ? agent_slot_live(a, &record->shard) : NONE;
    if (other == NONE) {
        return record->shard.attempt != 0 || (record->owner && !nonce_is_zero(&record->seat));
    }
    if (a->slots[other].generation > record->generation) {
        return false;
    }
    agent_slot_doom(a, other);
    return true;
}

static void adopt_record(struct agent *a, const struct slot_record *record)
{
    struct slot *s = &a->slots[record->slot];
    assert(s->state == SLOT_FREE);
    assert(record->generation <= a->generation_last);
    bool keep = is_worth_keeping(a, record);
    s->generation = record->generation;
    s->shard = record->shard;
    s->seat = record->seat;
    s->name = record->name;
    s->insisted = record->insisted;
    s->world = record->world;
    s->copies = record->copies;
    s->bytes = record->bytes;
    s->owner = record->owner;
    s->cached = record->cached;
    s->has_digest = record->has_digest;
    s->digest = record->digest;
    s->digest_key = record->digest_key;
    s->in_doubt = true;
    adopt_segments(a, record->slot, record);
    if (keep && PLANTED_BUG(TRUST_RECORD) && record->has_digest) {
        agent_slot_move(s, SLOT_ADOPTED);
        agent_slot_verified(a, record->slot, &record->digest, record->digest_key);
    } else if (keep) {
        agent_slot_move(s, SLOT_ADOPTED);
        s->digest_wanted = true;
        s->record_pending = true;
    } else {
        agent_slot_move(s, SLOT_DIRTY);
        s->doomed = true;
    }
    if (keep && agent_slot_waits(s)) {
        agent_seat_adopt(a, record->slot);
    }
}

/* Refused content: the slot is free, and its next generation is above all that were. */
static void refuse_record(struct agent *a, const struct slot_record *record)
{
    struct slot *s = &a->slots[record->slot];
    assert(s->state == SLOT_FREE);
    assert(record->generation <= a->generation_last);
    s->generation = record->generation;
    s->record_pending = true;
    agent_note(
        a, EVENT_record_refused, NULL,
        "the record of slot %u (generation %llu) cannot be true: what it held is not adopted",
        record->slot, (unsigned long long)record->generation);
}

enum ckpt_status agent_adopt_check(const struct agent *a, const struct slot_record *record)
{
    assert(a->adopting);
    bool once = record->slot < a->config.slots && a->slots[record->slot].generation == 0;
    return once ? CKPT_OK : CKPT_ERR_INVALID;
}

void agent_adopt(struct agent *a, const struct slot_record *record, bool corrupt)
{
    assert(record->slot < a->config.slots);
    struct slot *s = &a->slots[record->slot];
    assert(a->adopting);
    assert(s->state == SLOT_FREE);
    assert(s->segment_count == 0);
    a->slots_high = record->slot >= a->slots_high ? record->slot + 1 : a->slots_high;
    a->found_records = true;
    a->is_marked = true;
    if (record->generation > a->generation_last) {
        a->generation_last = record->generation;
    }
    bool refused = record->generation == 0 || (unsigned)record->state > SLOT_DIRTY ||
                   (record->state != SLOT_FREE && !record_is_valid(a, record));
    if (corrupt || refused) {
        refuse_record(a, record);
    } else if (record->state == SLOT_FREE) {
        s->generation = record->generation;
    } else {
        adopt_record(a, record);
    }
}

void agent_adopt_end(struct agent *a, uint64_t epoch, const struct nonce *cluster)
{
    assert(a->adopting);
    assert(a->slots_high <= a->config.slots);
    a->adopting = false;
    a->cluster = *cluster;
    a->epoch = PLANTED_BUG(FORGET_EPOCH) ? 0 : epoch;
    if (a->found_records) {
        agent_segments_forget_users(a);
    }
}
