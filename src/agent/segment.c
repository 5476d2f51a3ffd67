/* SPDX-License-Identifier: Apache-2.0 */
/* Which segments a slot gets, and whose bytes a free segment still holds. */
#include "agent/segment.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/part.h"
#include "base/planted_bug.h"

/* In the order of preference. */
enum fitness {
    FITNESS_AWAITED = 0, /* this rank's, and mapped in its process */
    FITNESS_OWN,         /* last held this rank's bytes */
    FITNESS_NEW,         /* never held any */
    FITNESS_SAME_USER,
    FITNESS_OTHER_USER,    /* must be renewed */
    FITNESS_AWAITED_SAME,  /* by another rank of this user */
    FITNESS_AWAITED_OTHER, /* by a rank of another user, or a part in it is: renewed */
    FITNESS_COUNT,
};

static bool must_renew(enum fitness fitness)
{
    assert(fitness < FITNESS_COUNT);
    return fitness == FITNESS_OTHER_USER || fitness == FITNESS_AWAITED_OTHER;
}

static enum fitness fitness_of(const struct agent *a, uint32_t id, const struct slot_owner *owner)
{
    const struct segment *segment = &a->segments[id];
    assert(segment->slot == NONE);
    if (agent_part_is_awaited_in(a, id)) {
        return FITNESS_AWAITED_OTHER;
    }
    if (segment->unknown) {
        return FITNESS_OTHER_USER;
    }
    if (!segment->used) {
        return FITNESS_NEW;
    }
    if (segment->uid != owner->uid) {
        return segment->awaited ? FITNESS_AWAITED_OTHER : FITNESS_OTHER_USER;
    }
    if (segment->tag == owner->tag) {
        return segment->awaited ? FITNESS_AWAITED : FITNESS_OWN;
    }
    return segment->awaited ? FITNESS_AWAITED_SAME : FITNESS_SAME_USER;
}

/* Oldest use first, then in the shard's order: the list that the rank had two saves ago comes out
 * as it was. */
static bool comes_before(const struct segment *a, const struct segment *b)
{
    if (a->generation != b->generation) {
        return a->generation < b->generation;
    }
    return a->place < b->place;
}

static void sort_by_use(struct agent *a, uint16_t *ids, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint16_t id = ids[i];
        uint32_t at = i;
        while (at > 0 && comes_before(&a->segments[id], &a->segments[ids[at - 1]])) {
            ids[at] = ids[at - 1];
            at--;
        }
        ids[at] = id;
    }
}

static uint32_t collect(struct agent *a, enum fitness fitness, const struct slot_owner *owner,
                        uint16_t *ids_out)
{
    assert(fitness < FITNESS_COUNT);
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->config.segments; i++) {
        const struct segment *segment = &a->segments[i];
        if (segment->slot == NONE && segment->parts_used == 0 &&
            fitness_of(a, i, owner) == fitness) {
            ids_out[count++] = (uint16_t)i;
        }
    }
    if (fitness <= FITNESS_OWN) {
        sort_by_use(a, ids_out, count);
    }
    return count;
}

/* --- Lists: segments that a rank has mapped, or was told to, in this order for one shard -- */

/* Whether a list of so many, or more, begins there. */
static bool is_list(const struct agent *a, const uint16_t *ids, uint32_t left, uint32_t count)
{
    assert(count > 0);
    uint64_t generation = a->segments[ids[0]].generation;
    for (uint32_t i = 0; i < count; i++) {
        const struct segment *segment = i < left ? &a->segments[ids[i]] : NULL;
        if (segment == NULL || segment->generation != generation || segment->place != i) {
            return false;
        }
    }
    return true;
}

/* Of sorted ids: where the first list behind that of generation `after` begins; NONE. */
static uint32_t find_list(const struct agent *a, const uint16_t *ids, uint32_t found,
                          uint32_t count, uint64_t after)
{
    for (uint32_t i = 0; i < found; i++) {
        if (a->segments[ids[i]].generation > after && is_list(a, ids + i, found - i, count)) {
            return i;
        }
    }
    return NONE;
}

bool agent_segments_list(struct agent *a, const struct slot_owner *owner, uint32_t count,
                         uint64_t after, uint16_t *ids_out, uint64_t *generation_out)
{
    assert(count > 0);
    uint32_t found = collect(a, FITNESS_AWAITED, owner, a->scratch);
    uint32_t at = find_list(a, a->scratch, found, count, after);
    if (at == NONE) {
        return false;
    }
    assert(at + count <= found);
    memcpy(ids_out, a->scratch + at, count * sizeof(*ids_out));
    *generation_out = a->segments[ids_out[0]].generation;
    return true;
}

/* The rank's own that are in no list of so many, and what is nobody's: into a->scratch, at most
 * count. True: there are enough. */
static bool choose_ahead(struct agent *a, const struct slot_owner *owner, uint32_t count,
                         enum fitness worst)
{
    assert(worst < FITNESS_AWAITED_SAME);
    uint32_t own = collect(a, FITNESS_AWAITED, owner, a->scratch);
    uint32_t found = 0;
    for (uint32_t i = 0; i < own; i++) {
        if (is_list(a, a->scratch + i, own - i, count)) {
            i += count - 1;
        } else {
            a->scratch[found++] = a->scratch[i];
        }
    }
    for (enum fitness f = FITNESS_OWN; f <= worst && found < count; f++) {
        found += collect(a, f, owner, a->scratch + found);
    }
    return found >= count;
}

bool agent_segments_prepare(struct agent *a, const struct slot_owner *owner, uint32_t count)
{
    assert(count > 0);
    enum fitness worst = PLANTED_BUG(PREPARE_AS_IT_IS) ? FITNESS_OTHER_USER : FITNESS_SAME_USER;
    if (!choose_ahead(a, owner, count, worst)) {
        return false;
    }
    a->generation_last++;
    for (uint32_t i = 0; i < count; i++) {
        struct segment *segment = &a->segments[a->scratch[i]];
        agent_parts_forget(a, a->scratch[i]);
        segment->place = (uint16_t)i;
        segment->used = true;
        segment->uid = owner->uid;
        segment->tag = owner->tag;
        segment->generation = a->generation_last;
        segment->awaited = true;
    }
    return true;
}

/* --- Claims ------------------------------------------------------------------------------ */

static void claim(struct agent *a, uint32_t slot, uint16_t id)
{
    assert(id < a->config.segments);
    struct slot *s = &a->slots[slot];
    struct segment *segment = &a->segments[id];
    assert(segment->slot == NONE);
    assert(a->segments_free > 0);
    segment->slot = slot;
    segment->place = (uint16_t)s->segment_count;
    s->segments[s->segment_count++] = id;
    a->segments_free--;
    agent_parts_forget(a, id);
}

static void mark_claimed(struct agent *a, const struct slot *s, const struct slot_owner *owner,
                         bool renew)
{
    assert(s->segment_count > 0);
    for (uint32_t i = 0; i < s->segment_count; i++) {
        struct segment *segment = &a->segments[s->segments[i]];
        segment->used = true;
        segment->unknown = renew;
        segment->uid = owner->uid;
        segment->tag = owner->tag;
        segment->generation = s->generation;
        segment->awaited = s->prepares || s->owner;
    }
}

bool agent_segments_claim(struct agent *a, uint32_t slot, uint32_t count, bool *renew_out)
{
    assert(slot < a->config.slots);
    struct slot *s = &a->slots[slot];
    assert(s->segment_count == 0);
    assert(count > 0);
    assert(count <= CKPT_SEGMENTS_PER_SHARD_MAX);
    if (count > a->segments_free) {
        return false;
    }
    const struct slot_owner owner = agent_slot_owner(&s->shard);
    bool renew = false;
    for (enum fitness f = FITNESS_AWAITED; f < FITNESS_COUNT && s->segment_count < count; f++) {
        uint32_t found = collect(a, f, &owner, a->scratch);
        /* A whole list, so that what its process has mapped is what it gets. */
        uint32_t at = f == FITNESS_AWAITED ? find_list(a, a->scratch, found, count, 0) : NONE;
        for (uint32_t i = at == NONE ? 0 : at; i < found && s->segment_count < count; i++) {
            claim(a, slot, a->scratch[i]);
            renew = renew || must_renew(f);
        }
    }
    assert(s->segment_count == count);
    mark_claimed(a, s, &owner, renew);
    *renew_out = renew && !PLANTED_BUG(NO_RENEWAL);
    return true;
}

bool agent_segments_claim_ahead(struct agent *a, uint32_t slot, uint32_t count)
{
    struct slot *s = &a->slots[slot];
    assert(s->prepares);
    assert(s->segment_count == 0);
    const struct slot_owner owner = agent_slot_owner(&s->shard);
    if (!choose_ahead(a, &owner, count, FITNESS_OTHER_USER)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        claim(a, slot, a->scratch[i]);
    }
    mark_claimed(a, s, &owner, true);
    return true;
}

static bool is_awaited_by(const struct segment *memory, uint32_t uid)
{
    return memory->awaited && memory->slot == NONE && memory->uid == uid;
}

uint64_t agent_awaited_bytes(const struct agent *a, uint32_t uid)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < a->config.segments; i++) {
        bytes += is_awaited_by(&a->segments[i], uid) ? a->config.segment_bytes : 0;
    }
    for (uint32_t i = 0; i < a->parts_high; i++) {
        bytes += is_awaited_by(&a->parts[i].is, uid) ? a->parts[i].at.bytes : 0;
    }
    assert(bytes <= a->config.segments * a->config.segment_bytes);
    return bytes;
}

static void forget_awaited(struct segment *memory, const struct slot_owner *owner)
{
    if (memory->uid == owner->uid && memory->tag == owner->tag) {
        memory->awaited = false;
    }
}

void agent_awaited_forget(struct agent *a, const struct slot_owner *owner)
{
    assert(a->parts_high <= a->config.parts);
    for (uint32_t i = 0; i < a->config.segments; i++) {
        forget_awaited(&a->segments[i], owner);
    }
    for (uint32_t i = 0; i < a->parts_high; i++) {
        forget_awaited(&a->parts[i].is, owner);
    }
}

/* What a rank whose connection broke has mapped it may go on to write or read: the memory goes to
 * nobody else, not even of the same user, before it is renewed. */
void agent_segments_free_of(struct agent *a, uint32_t slot)
{
    assert(a->slots[slot].work == 0 || a->slots[slot].doomed);
    struct slot *s = &a->slots[slot];
    for (uint32_t i = 0; i < s->segment_count; i++) {
        struct segment *segment = agent_memory(a, s->segments[i]);
        assert(segment->slot == slot);
        segment->slot = NONE;
        segment->unknown = segment->unknown || (s->in_doubt && !PLANTED_BUG(TRUST_THE_GONE));
        if (s->segments[i] >= CKPT_PART_ID_FIRST) {
            agent_part_free(a, s->segments[i]);
        } else {
            a->segments_free++;
        }
        a->coordinator.room_came_back = true;
    }
    s->segment_count = 0;
}

void agent_segments_renewed(struct agent *a, uint32_t slot, bool done)
{
    const struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_DIRTY);
    for (uint32_t i = 0; i < s->segment_count; i++) {
        struct segment *memory = agent_memory(a, s->segments[i]);
        memory->unknown = !done;
        memory->awaited = memory->awaited && done;
    }
}

void agent_segments_forget_users(struct agent *a)
{
    for (uint32_t i = 0; i < a->config.segments; i++) {
        if (a->segments[i].slot == NONE) {
            a->segments[i].used = true;
            a->segments[i].unknown = true;
        }
    }
}
