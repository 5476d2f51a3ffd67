/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of segments: which there are, and where the next one goes.
 *
 * A part outlives its shard, mapped and pinned, for the next one of its size and its user's; until
 * then its bytes count as free, and whoever needs them takes them: the file is dropped when the
 * next one is made in its place, or the segment is made whole, by the renewal of who takes it. So a
 * segment is free as soon as no part of it is in use. New parts go to the first place there is, of
 * the segments that have parts in use already, so that those behind come free. */
#include "agent/part.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "base/planted_bug.h"

static struct room_kind kind_of(const struct agent *a)
{
    return (struct room_kind){.segment_bytes = a->config.segment_bytes,
                              .page_bytes = a->config.parts > 0 ? a->config.page_bytes : 0};
}

struct segment *agent_memory(const struct agent *a, uint16_t id)
{
    assert((uint32_t)id < CKPT_PART_ID_FIRST + a->config.parts);
    return id < CKPT_PART_ID_FIRST ? &a->segments[id] : &a->parts[id - CKPT_PART_ID_FIRST].is;
}

uint64_t agent_part_bytes(const struct agent *a, uint64_t bytes)
{
    struct room_kind kind = kind_of(a);
    return room_part_bytes(&kind, bytes);
}

uint64_t agent_room_bytes(const struct agent *a, uint64_t bytes)
{
    struct room_kind kind = kind_of(a);
    return room_of_shard(&kind, bytes);
}

struct room_part agent_slot_part(const struct agent *a, const struct slot *slot)
{
    assert(slot->segment_count <= CKPT_SEGMENTS_PER_SHARD_MAX);
    bool has = slot->segment_count == 1 && slot->segments[0] >= CKPT_PART_ID_FIRST;
    return has ? a->parts[slot->segments[0] - CKPT_PART_ID_FIRST].at
               : (struct room_part){.bytes = 0};
}

uint64_t agent_slot_room(const struct agent *a, const struct slot *slot)
{
    uint64_t part = agent_slot_part(a, slot).bytes;
    return part > 0 ? part : slot->segment_count * a->config.segment_bytes;
}

/* --- Places ----------------------------------------------------------------------------- */

/* The first place for so many bytes in the segment; parts in no use are in its way or not. */
static bool find_gap(const struct agent *a, uint32_t segment, uint64_t bytes, bool over_free,
                     uint64_t *offset_out)
{
    assert(segment < a->config.segments);
    assert(bytes > 0);
    uint64_t at = 0;
    for (uint32_t i = a->segments[segment].first_part; i != NONE; i = a->parts[i].next) {
        const struct part *part = &a->parts[i];
        if (over_free && part->is.slot == NONE) {
            continue;
        }
        if (part->at.offset >= at + bytes || PLANTED_BUG(PARTS_OVERLAP)) {
            break;
        }
        uint64_t end = part->at.offset + part->at.bytes;
        at = end > at ? (end + bytes - 1) / bytes * bytes : at;
    }
    *offset_out = at;
    return at + bytes <= a->config.segment_bytes;
}

static bool is_fresh(const struct segment *segment)
{
    return segment->slot == NONE && segment->parts_used == 0;
}

/* A segment to cut: one that nobody has had, if there is one. */
static uint32_t find_fresh(const struct agent *a)
{
    uint32_t found = NONE;
    for (uint32_t i = 0; i < a->config.segments; i++) {
        const struct segment *segment = &a->segments[i];
        if (is_fresh(segment) && !segment->used && !segment->unknown) {
            return i;
        }
        found = is_fresh(segment) && found == NONE ? i : found;
    }
    return found;
}

static bool find_place(const struct agent *a, uint64_t bytes, struct room_part *at_out)
{
    assert(bytes < a->config.segment_bytes);
    at_out->bytes = bytes;
    for (int over_free = 0; over_free < 2; over_free++) {
        for (uint32_t i = 0; i < a->config.segments; i++) {
            at_out->segment = i;
            if (a->segments[i].parts_used > 0 &&
                find_gap(a, i, bytes, over_free != 0, &at_out->offset)) {
                return true;
            }
        }
    }
    at_out->segment = find_fresh(a);
    at_out->offset = 0;
    return at_out->segment != NONE;
}

/* A number for one more part: one that is none, or of the part in no use that is oldest. */
static uint32_t find_number(const struct agent *a)
{
    assert(a->parts_high <= a->config.parts);
    uint32_t oldest = NONE;
    for (uint32_t i = 0; i < a->parts_high; i++) {
        const struct part *part = &a->parts[i];
        if (part->at.bytes == 0) {
            return i;
        }
        if (part->is.slot == NONE &&
            (oldest == NONE || part->is.generation < a->parts[oldest].is.generation)) {
            oldest = i;
        }
    }
    return a->parts_high < a->config.parts ? a->parts_high : oldest;
}

bool agent_part_fits(const struct agent *a, uint64_t bytes)
{
    struct room_part at;
    return find_number(a) != NONE && find_place(a, bytes, &at);
}

void agent_parts_room(const struct agent *a, uint64_t *free_out, uint64_t *largest_out)
{
    uint64_t used = 0, cut = 0;
    *largest_out = 0;
    for (uint32_t i = 0; i < a->parts_high; i++) {
        used += a->parts[i].is.slot != NONE ? a->parts[i].at.bytes : 0;
    }
    uint64_t largest = a->config.parts > 0 ? a->config.page_bytes : 0;
    while (largest > 0 && largest * 2 < a->config.segment_bytes) {
        largest *= 2;
    }
    for (uint32_t i = 0; i < a->config.segments; i++) {
        uint64_t offset;
        if (a->segments[i].parts_used == 0) {
            continue;
        }
        cut += a->config.segment_bytes;
        for (uint64_t bytes = largest; bytes > *largest_out && bytes >= a->config.page_bytes;
             bytes /= 2) {
            if (find_gap(a, i, bytes, true, &offset)) {
                *largest_out = bytes;
            }
        }
    }
    *free_out = cut - used;
    assert(cut >= used);
}

/* --- The table -------------------------------------------------------------------------- */

static void unlink_part(struct agent *a, uint32_t number)
{
    assert(number < a->parts_high);
    struct part *part = &a->parts[number];
    assert(part->at.bytes > 0);
    assert(part->is.slot == NONE);
    uint32_t *at = &a->segments[part->at.segment].first_part;
    while (*at != number) {
        at = &a->parts[*at].next;
    }
    *at = part->next;
    memset(part, 0, sizeof(*part));
    part->is.slot = NONE;
    while (a->parts_high > 0 && a->parts[a->parts_high - 1].at.bytes == 0) {
        a->parts_high--;
    }
}

static void link_part(struct agent *a, uint32_t number, const struct room_part *place)
{
    assert(place->segment < a->config.segments);
    struct part *part = &a->parts[number];
    assert(part->at.bytes == 0);
    uint32_t *at = &a->segments[place->segment].first_part;
    while (*at != NONE && a->parts[*at].at.offset < place->offset) {
        at = &a->parts[*at].next;
    }
    part->at = *place;
    part->next = *at;
    *at = number;
    a->parts_high = number >= a->parts_high ? number + 1 : a->parts_high;
}

/* Parts in no use that the place, or with NULL any, takes up are none any more. */
static void forget(struct agent *a, uint32_t segment, const struct room_part *place)
{
    assert(segment < a->config.segments);
    uint32_t next;
    for (uint32_t i = a->segments[segment].first_part; i != NONE; i = next) {
        next = a->parts[i].next;
        bool is_in_use = a->parts[i].is.slot != NONE;
        if (!is_in_use && (place == NULL || room_parts_overlap(&a->parts[i].at, place))) {
            unlink_part(a, i);
        }
    }
}

void agent_parts_forget(struct agent *a, uint32_t segment)
{
    assert(a->segments[segment].parts_used == 0);
    forget(a, segment, NULL);
    assert(a->segments[segment].first_part == NONE);
}

static void claim(struct agent *a, uint32_t slot, uint32_t number)
{
    assert(number < a->parts_high);
    struct part *part = &a->parts[number];
    struct slot *s = &a->slots[slot];
    struct segment *home = &a->segments[part->at.segment];
    assert(part->is.slot == NONE);
    assert(s->segment_count == 0);
    assert(home->slot == NONE);
    part->is.slot = slot;
    part->is.place = 0;
    part->is.used = true;
    part->is.uid = s->shard.run.uid;
    part->is.tag = agent_rank_tag(&s->shard.run, s->shard.rank);
    part->is.generation = s->generation;
    s->segments[0] = (uint16_t)(CKPT_PART_ID_FIRST + number);
    s->segment_count = 1;
    if (home->parts_used++ == 0) {
        assert(a->segments_free > 0);
        a->segments_free--;
    }
    home->unknown = true; /* made whole again before it is used so */
}

/* The part of this size that the rank had two saves ago, else one of its user's. NONE: there is
 * none. */
static uint32_t find_own(const struct agent *a, const struct slot *s, uint64_t bytes)
{
    assert(s->segment_count == 0);
    uint64_t tag = agent_rank_tag(&s->shard.run, s->shard.rank);
    uint32_t found = NONE;
    for (uint32_t i = 0; i < a->parts_high; i++) {
        const struct segment *is = &a->parts[i].is;
        if (a->parts[i].at.bytes != bytes || is->slot != NONE || is->unknown ||
            is->uid != s->shard.run.uid) {
            continue;
        }
        const struct segment *best = found != NONE ? &a->parts[found].is : NULL;
        bool is_better =
            best == NULL || (is->tag == tag) > (best->tag == tag) ||
            ((is->tag == tag) == (best->tag == tag) && is->generation < best->generation);
        found = is_better ? i : found;
    }
    return found;
}

bool agent_part_claim(struct agent *a, uint32_t slot, uint64_t bytes, bool *renew_out)
{
    assert(a->slots[slot].segment_count == 0);
    uint32_t number = find_own(a, &a->slots[slot], bytes);
    *renew_out = number == NONE;
    if (number == NONE) {
        struct room_part at;
        number = find_number(a);
        if (number == NONE || !find_place(a, bytes, &at)) {
            return false;
        }
        if (a->parts[number].at.bytes > 0) {
            unlink_part(a, number);
        }
        forget(a, at.segment, &at);
        link_part(a, number, &at);
        a->parts[number].is.unknown = true;
    }
    claim(a, slot, number);
    return true;
}

void agent_part_free(struct agent *a, uint16_t id)
{
    assert(id >= CKPT_PART_ID_FIRST);
    const struct part *part = &a->parts[id - CKPT_PART_ID_FIRST];
    struct segment *home = &a->segments[part->at.segment];
    assert(home->parts_used > 0);
    assert(part->is.slot == NONE);
    home->parts_used -= !PLANTED_BUG(NEVER_WHOLE);
    a->segments_free += home->parts_used == 0;
}

bool agent_part_may_be_adopted(const struct agent *a, const struct slot_record *record)
{
    struct room_kind kind = kind_of(a);
    uint32_t number = record->segments[0] - (uint32_t)CKPT_PART_ID_FIRST;
    if (record->segment_count != 1 || record->segments[0] < CKPT_PART_ID_FIRST ||
        number >= a->config.parts || a->parts[number].at.bytes > 0 ||
        !room_part_is_sound(&kind, a->config.segments, &record->part) ||
        record->bytes > record->part.bytes || a->segments[record->part.segment].slot != NONE) {
        return false;
    }
    for (uint32_t i = a->segments[record->part.segment].first_part; i != NONE;
         i = a->parts[i].next) {
        if (room_parts_overlap(&a->parts[i].at, &record->part)) {
            return false;
        }
    }
    return true;
}

void agent_part_adopt(struct agent *a, uint32_t slot, const struct slot_record *record)
{
    assert(a->adopting);
    uint32_t number = record->segments[0] - (uint32_t)CKPT_PART_ID_FIRST;
    link_part(a, number, &record->part);
    claim(a, slot, number);
    /* Dirty: it may not have been made. */
    a->parts[number].is.unknown = record->state == SLOT_DIRTY;
}
