/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of segments: which there are, and where the next one goes.
 *
 * A part outlives its shard, mapped and pinned, for the next one of its size and its user's; until
 * then its bytes count as free, and whoever needs them takes them: the file is dropped when the
 * next one is made in its place, or the segment is made whole, by the renewal of who takes it. So a
 * segment is free as soon as no part of it is in use. New parts go to the first place there is, of
 * the segments that have parts in use or awaited already, so that those behind come free. What a
 * rank that is here has mapped, for its next saves, goes last. */
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

bool agent_part_is_awaited_in(const struct agent *a, uint32_t segment)
{
    assert(segment < a->config.segments);
    for (uint32_t i = a->segments[segment].first_part; i != NONE; i = a->parts[i].next) {
        if (a->parts[i].is.awaited) {
            return true;
        }
    }
    return false;
}

/* Which parts in no use a new one may take up. */
enum over {
    OVER_NONE = 0,
    OVER_FREE, /* that nobody waits for */
    OVER_AWAITED,
};

static bool is_in_the_way(const struct part *part, enum over over)
{
    assert(part->at.bytes > 0);
    return part->is.slot != NONE || over == OVER_NONE || (part->is.awaited && over == OVER_FREE);
}

/* The first place for so many bytes in the segment. */
static bool find_gap(const struct agent *a, uint32_t segment, uint64_t bytes, enum over over,
                     uint64_t *offset_out)
{
    assert(segment < a->config.segments);
    assert(bytes > 0);
    uint64_t at = 0;
    for (uint32_t i = a->segments[segment].first_part; i != NONE; i = a->parts[i].next) {
        const struct part *part = &a->parts[i];
        if (!is_in_the_way(part, over)) {
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

/* A segment to cut: one that nobody has had, if there is one; one that a rank awaits, if there is
 * no other. */
static uint32_t find_fresh(const struct agent *a)
{
    uint32_t found = NONE;
    for (uint32_t i = 0; i < a->config.segments; i++) {
        const struct segment *segment = &a->segments[i];
        if (!is_fresh(segment) || agent_part_is_awaited_in(a, i)) {
            continue;
        }
        if (!segment->used && !segment->unknown) {
            return i;
        }
        if (found == NONE || (a->segments[found].awaited && !segment->awaited)) {
            found = i;
        }
    }
    return found;
}

static bool find_place_over(const struct agent *a, uint64_t bytes, enum over over,
                            struct room_part *at_out)
{
    for (uint32_t i = 0; i < a->config.segments; i++) {
        const struct segment *segment = &a->segments[i];
        bool is_cut =
            segment->parts_used > 0 || (segment->slot == NONE && agent_part_is_awaited_in(a, i));
        at_out->segment = i;
        if (is_cut && find_gap(a, i, bytes, over, &at_out->offset)) {
            return true;
        }
    }
    return false;
}

/* Beside all parts, over those that are nobody's, in a segment that is to be cut; and last, where
 * it may go there, over what a rank awaits. */
static bool find_place(const struct agent *a, uint64_t bytes, enum over worst,
                       struct room_part *at_out)
{
    assert(bytes < a->config.segment_bytes);
    at_out->bytes = bytes;
    if (find_place_over(a, bytes, OVER_NONE, at_out) ||
        find_place_over(a, bytes, OVER_FREE, at_out)) {
        return true;
    }
    at_out->segment = find_fresh(a);
    at_out->offset = 0;
    if (at_out->segment == NONE) {
        return worst == OVER_AWAITED && find_place_over(a, bytes, OVER_AWAITED, at_out);
    }
    return worst == OVER_AWAITED || !a->segments[at_out->segment].awaited;
}

/* Of two in no use: which is given up. */
static bool goes_before(const struct part *a, const struct part *b)
{
    assert(a->is.slot == NONE);
    assert(b->is.slot == NONE);
    return a->is.awaited != b->is.awaited ? b->is.awaited : a->is.generation < b->is.generation;
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
        if (part->is.slot == NONE && (oldest == NONE || goes_before(part, &a->parts[oldest]))) {
            oldest = i;
        }
    }
    return a->parts_high < a->config.parts ? a->parts_high : oldest;
}

bool agent_part_fits(const struct agent *a, uint64_t bytes)
{
    struct room_part at;
    return find_number(a) != NONE && find_place(a, bytes, OVER_AWAITED, &at);
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
            if (find_gap(a, i, bytes, OVER_AWAITED, &offset)) {
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
    part->is.awaited = s->prepares || s->owner;
    s->segments[0] = (uint16_t)(CKPT_PART_ID_FIRST + number);
    s->segment_count = 1;
    if (home->parts_used++ == 0) {
        assert(a->segments_free > 0);
        a->segments_free--;
    }
    home->unknown = true; /* made whole again before it is used so */
    home->awaited = false;
}

/* A part of this size in no use that the user may have as it is. */
static bool is_ready(const struct part *part, uint32_t uid, uint64_t bytes)
{
    return part->at.bytes == bytes && part->is.slot == NONE && !part->is.unknown &&
           part->is.uid == uid;
}

enum whose {
    WHOSE_AWAITED = 0, /* the rank's, and mapped in its process */
    WHOSE_OWN,         /* the rank's */
    WHOSE_USER,        /* its user's, that no rank awaits */
    WHOSE_COUNT,
};

static enum whose whose(const struct segment *is, const struct slot_owner *owner)
{
    assert(is->slot == NONE);
    assert(is->uid == owner->uid);
    if (is->tag == owner->tag) {
        return is->awaited ? WHOSE_AWAITED : WHOSE_OWN;
    }
    return is->awaited ? WHOSE_COUNT : WHOSE_USER;
}

/* The oldest of that size above generation `after`. NONE: there is none. */
static uint32_t find_ready(const struct agent *a, const struct slot_owner *owner, enum whose kind,
                           uint64_t bytes, uint64_t after)
{
    assert(kind < WHOSE_COUNT);
    uint32_t found = NONE;
    for (uint32_t i = 0; i < a->parts_high; i++) {
        const struct segment *is = &a->parts[i].is;
        if (is_ready(&a->parts[i], owner->uid, bytes) && whose(is, owner) == kind &&
            is->generation > after &&
            (found == NONE || is->generation < a->parts[found].is.generation)) {
            found = i;
        }
    }
    return found;
}

bool agent_part_next(struct agent *a, const struct slot_owner *owner, uint64_t bytes,
                     uint64_t after, uint16_t *id_out, uint64_t *generation_out)
{
    uint32_t number = find_ready(a, owner, WHOSE_AWAITED, bytes, after);
    if (number == NONE) {
        return false;
    }
    assert(a->parts[number].is.generation > after);
    *id_out = (uint16_t)(CKPT_PART_ID_FIRST + number);
    *generation_out = a->parts[number].is.generation;
    return true;
}

bool agent_part_prepare(struct agent *a, const struct slot_owner *owner, uint64_t bytes)
{
    uint32_t number = find_ready(a, owner, WHOSE_OWN, bytes, 0);
    number = number != NONE ? number : find_ready(a, owner, WHOSE_USER, bytes, 0);
    if (number == NONE) {
        return false;
    }
    assert(!a->parts[number].is.awaited);
    a->parts[number].is.tag = owner->tag;
    a->parts[number].is.generation = ++a->generation_last;
    a->parts[number].is.awaited = true;
    return true;
}

/* A new part, which has to be made. NONE, and nothing changed: there is no room. */
static uint32_t place_new(struct agent *a, uint64_t bytes, enum over worst)
{
    struct room_part at;
    uint32_t number = find_number(a);
    bool is_awaited = number != NONE && a->parts[number].is.awaited;
    if (number == NONE || (is_awaited && worst != OVER_AWAITED) ||
        !find_place(a, bytes, worst, &at)) {
        return NONE;
    }
    if (a->parts[number].at.bytes > 0) {
        unlink_part(a, number);
    }
    forget(a, at.segment, &at);
    link_part(a, number, &at);
    a->parts[number].is.unknown = true;
    assert(number < a->parts_high);
    return number;
}

bool agent_part_claim(struct agent *a, uint32_t slot, uint64_t bytes, bool *renew_out)
{
    assert(a->slots[slot].segment_count == 0);
    const struct slot_owner owner = agent_slot_owner(&a->slots[slot].shard);
    uint32_t number = NONE;
    for (enum whose kind = WHOSE_AWAITED; kind < WHOSE_COUNT && number == NONE; kind++) {
        number = find_ready(a, &owner, kind, bytes, 0);
    }
    *renew_out = number == NONE;
    number = number != NONE ? number : place_new(a, bytes, OVER_AWAITED);
    if (number == NONE) {
        return false;
    }
    claim(a, slot, number);
    return true;
}

bool agent_part_claim_ahead(struct agent *a, uint32_t slot, uint64_t bytes)
{
    assert(a->slots[slot].prepares);
    uint32_t number = place_new(a, bytes, OVER_FREE);
    if (number == NONE) {
        return false;
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
    a->parts[number].is.awaited = false;
    /* Dirty: it may not have been made. */
    a->parts[number].is.unknown = record->state == SLOT_DIRTY;
}
