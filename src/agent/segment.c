/* SPDX-License-Identifier: Apache-2.0 */
/* Which segments a slot gets, and whose bytes a free segment still holds. */
#include "agent/segment.h"

#include <assert.h>

#include "agent/identity.h"
#include "agent/part.h"
#include "base/planted_bug.h"

/* In the order of preference. */
enum fitness {
    FITNESS_OWN = 0, /* last held this rank's bytes: mapped and pinned already in its process */
    FITNESS_NEW,     /* never held any */
    FITNESS_SAME_USER,
    FITNESS_OTHER_USER, /* must be renewed */
    FITNESS_COUNT,
};

static enum fitness fitness_of(const struct segment *segment, uint32_t uid, uint64_t tag)
{
    assert(segment->slot == NONE);
    if (segment->unknown) {
        return FITNESS_OTHER_USER;
    }
    if (!segment->used) {
        return FITNESS_NEW;
    }
    if (segment->uid != uid) {
        return FITNESS_OTHER_USER;
    }
    return segment->tag == tag ? FITNESS_OWN : FITNESS_SAME_USER;
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

static uint32_t collect(struct agent *a, enum fitness fitness, uint32_t uid, uint64_t tag,
                        uint16_t *ids_out)
{
    assert(fitness < FITNESS_COUNT);
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->config.segments; i++) {
        const struct segment *segment = &a->segments[i];
        if (segment->slot == NONE && segment->parts_used == 0 &&
            fitness_of(segment, uid, tag) == fitness) {
            ids_out[count++] = (uint16_t)i;
        }
    }
    if (fitness == FITNESS_OWN) {
        sort_by_use(a, ids_out, count);
    }
    return count;
}

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
    uint32_t uid = s->shard.run.uid;
    uint64_t tag = agent_rank_tag(&s->shard.run, s->shard.rank);
    bool renew = false;
    for (enum fitness f = FITNESS_OWN; f < FITNESS_COUNT && s->segment_count < count; f++) {
        uint32_t found = collect(a, f, uid, tag, a->scratch);
        for (uint32_t i = 0; i < found && s->segment_count < count; i++) {
            claim(a, slot, a->scratch[i]);
            renew = renew || f == FITNESS_OTHER_USER;
        }
    }
    assert(s->segment_count == count);
    for (uint32_t i = 0; i < count; i++) {
        struct segment *segment = &a->segments[s->segments[i]];
        segment->used = true;
        segment->unknown = renew;
        segment->uid = uid;
        segment->tag = tag;
        segment->generation = s->generation;
    }
    *renew_out = renew && !PLANTED_BUG(NO_RENEWAL);
    return true;
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
        agent_memory(a, s->segments[i])->unknown = !done;
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
