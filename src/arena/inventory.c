/* SPDX-License-Identifier: Apache-2.0 */
/* What a restarted agent may believe of the records it finds. */
#include "arena/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "arena/explain.h"

static void claim_id(struct claims *claims, uint32_t id, uint32_t slot)
{
    if (claims->first[id] == NOBODY) {
        claims->first[id] = slot;
    } else if (claims->second[id] == NOBODY) {
        claims->second[id] = slot;
    }
}

/* A part lies in memory that another claims as a segment, or as another part. */
static void contest(struct claims *claims, uint32_t slot, uint32_t other)
{
    claims->contested_by[slot] = other;
    claims->contested_by[other] = slot;
}

static void contest_parts(struct claims *claims, const struct room_part *parts, uint32_t slots)
{
    for (uint32_t slot = 0; slot < slots; slot++) {
        const struct room_part *part = &parts[slot];
        if (part->bytes == 0) {
            continue;
        }
        if (part->segment < CKPT_ARENA_SEGMENTS_MAX && claims->first[part->segment] != NOBODY) {
            contest(claims, slot, claims->first[part->segment]);
        }
        for (uint32_t other = 0; other < slot; other++) {
            if (parts[other].bytes > 0 && room_parts_overlap(part, &parts[other])) {
                contest(claims, slot, other);
            }
        }
    }
}

void arena_claims_collect(struct arena *arena, struct claims *claims_out)
{
    static const struct room_part none;
    struct room_part parts[CKPT_ARENA_SEGMENTS_MAX];
    memset(claims_out, 0xff, sizeof *claims_out);
    for (uint32_t slot = 0; slot < arena->slot_count; slot++) {
        struct slot_record record;
        parts[slot] = none;
        if (arena_record_load(arena, slot, &record, NULL) != CKPT_OK) {
            continue;
        }
        parts[slot] = record.part;
        for (uint32_t i = 0; i < record.segment_count; i++) {
            claim_id(claims_out, record.segments[i], slot);
        }
    }
    contest_parts(claims_out, parts, arena->slot_count);
}

bool arena_claims_are_alone(const struct claims *claims, const struct slot_record *record)
{
    bool alone = claims->contested_by[record->slot] == NOBODY;
    for (uint32_t i = 0; i < record->segment_count; i++) {
        alone = alone && claims->second[record->segments[i]] == NOBODY;
    }
    return alone;
}

static const char *kind_of(uint32_t id)
{
    return id >= CKPT_PART_ID_FIRST ? "part" : "segment";
}

static uint32_t number_of(uint32_t id)
{
    return id >= CKPT_PART_ID_FIRST ? id - CKPT_PART_ID_FIRST : id;
}

/* Of a record without bytes that count, what is in its memory does not matter. */
static bool judge_id(struct arena *arena, const struct claims *claims,
                     const struct slot_record *record, uint16_t id, char reason[ARENA_REASON_BYTES])
{
    const struct segment *segment = arena_find(arena, id);
    if (claims->second[id] != NOBODY) {
        uint32_t other = claims->first[id] == record->slot ? claims->second[id] : claims->first[id];
        arena_explain(reason, "slot %u and slot %u both claim %s %u; neither is believed",
                      record->slot, other, kind_of(id), number_of(id));
        return false;
    }
    if (segment == NULL) {
        arena_explain(reason, "slot %u claims %s %u, which the arena does not have", record->slot,
                      kind_of(id), number_of(id));
        return false;
    }
    if (record->state == SLOT_DIRTY) {
        return true;
    }
    if (atomic_load(&segment->made_new)) {
        arena_explain(reason,
                      "slot %u claims %s %u, whose file was missing or not whole and was made anew",
                      record->slot, kind_of(id), number_of(id));
        return false;
    }
    if (arena_segments_check(arena, &id, 1) != CKPT_OK) {
        arena_explain(reason, "slot %u claims %s %u, which lost pages", record->slot, kind_of(id),
                      number_of(id));
        return false;
    }
    return true;
}

static bool judge(struct arena *arena, const struct claims *claims,
                  const struct slot_record *record, char reason[ARENA_REASON_BYTES])
{
    uint64_t room =
        record->part.bytes > 0 ? record->part.bytes : record->segment_count * arena->segment_bytes;
    if (claims->contested_by[record->slot] != NOBODY) {
        arena_explain(reason, "slot %u and slot %u claim the same bytes; neither is believed",
                      record->slot, claims->contested_by[record->slot]);
        return false;
    }
    for (uint32_t i = 0; i < record->segment_count; i++) {
        if (!judge_id(arena, claims, record, record->segments[i], reason)) {
            return false;
        }
    }
    if (record->bytes > room && record->state != SLOT_FREE) {
        arena_explain(reason, "slot %u claims %llu bytes in room for %llu", record->slot,
                      (unsigned long long)record->bytes, (unsigned long long)room);
        return false;
    }
    return true;
}

uint32_t arena_inventory(struct arena *arena, arena_inventory_fn visit, void *context)
{
    struct claims claims;
    arena_claims_collect(arena, &claims);
    uint32_t refused = 0;
    for (uint32_t slot = 0; slot < arena->slot_count; slot++) {
        struct slot_record record;
        char reason[ARENA_REASON_BYTES] = "";
        enum ckpt_status status = arena_record_load(arena, slot, &record, reason);
        bool whole = status == CKPT_OK;
        if (whole && !judge(arena, &claims, &record, reason)) {
            status = CKPT_ERR_CORRUPT;
        }
        if (status != CKPT_OK && status != CKPT_ERR_NOT_FOUND) {
            refused++;
        }
        visit(context, slot, status, whole ? &record : NULL, reason);
    }
    return refused;
}
