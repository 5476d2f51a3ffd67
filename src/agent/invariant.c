/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold after every event, whatever came in. */
#include "agent/invariant.h"

#include <assert.h>

#include "agent/load_table.h"
#include "agent/pull_table.h"
#include "agent/slot.h"

static void check_segments(const struct agent *a)
{
    uint32_t free = 0;
    for (uint32_t i = 0; i < a->config.segments; i++) {
        const struct segment *segment = &a->segments[i];
        if (segment->slot == NONE) {
            free += segment->parts_used == 0;
            continue;
        }
        assert(segment->slot < a->config.slots);
        assert(segment->parts_used == 0);
        assert(segment->first_part == NONE);
        const struct slot *s = &a->slots[segment->slot];
        assert(segment->place < s->segment_count);
        assert(s->segments[segment->place] == i);
        assert(segment->uid == s->shard.run.uid);
        assert(!segment->unknown || s->state == SLOT_DIRTY);
    }
    assert(free == a->segments_free);
}

/* Parts lie in the order of their offsets and do not overlap; a segment knows how many it has in
 * use. */
static void check_parts(const struct agent *a)
{
    uint32_t listed = 0, there = 0;
    for (uint32_t i = 0; i < a->config.segments; i++) {
        uint64_t end = 0;
        uint32_t used = 0;
        for (uint32_t j = a->segments[i].first_part; j != NONE; j = a->parts[j].next) {
            const struct part *part = &a->parts[j];
            assert(part->at.segment == i);
            assert(part->at.offset >= end);
            end = part->at.offset + part->at.bytes;
            used += part->is.slot != NONE;
            listed++;
        }
        assert(used == a->segments[i].parts_used);
        assert(end <= a->config.segment_bytes);
    }
    for (uint32_t i = 0; i < a->parts_high; i++) {
        const struct part *part = &a->parts[i];
        there += part->at.bytes > 0;
        if (part->is.slot != NONE) {
            const struct slot *s = &a->slots[part->is.slot];
            assert(s->segment_count == 1);
            assert(s->segments[0] == CKPT_PART_ID_FIRST + i);
            assert(s->bytes <= part->at.bytes);
            assert(part->is.uid == s->shard.run.uid);
            assert(!part->is.unknown || s->state == SLOT_DIRTY);
        }
    }
    assert(listed == there);
}

static void check_work(const struct slot *s)
{
    assert(s->work != 0 || (!s->work_scrubs && !s->scrub_cancelled));
    if (s->work == 0) {
        return;
    }
    assert(!s->work_scrubs || s->work_type == AGENT_WORK_DIGEST);
    bool ending = s->state == SLOT_DIRTY && s->doomed;
    switch (s->work_type) {
    case AGENT_WORK_READ:
        assert(s->state == SLOT_PULLING || ending);
        return;
    case AGENT_WORK_GATHER:
        assert(s->state == SLOT_FILLING || ending);
        return;
    case AGENT_WORK_RENEW:
        assert(s->state == SLOT_DIRTY);
        return;
    case AGENT_WORK_DIGEST:
        assert(s->state == SLOT_SEALED || s->state == SLOT_VERIFIED || s->state == SLOT_ADOPTED ||
               ending);
        return;
    case AGENT_WORK_CANCEL:
    case AGENT_WORK_PEER_CONNECT:
    case AGENT_WORK_PEER_CLOSE:
    case AGENT_WORK_PERSIST:
    case AGENT_WORK_MANIFEST:
        break;
    }
    assert(false && "a slot's work is one that ends");
}

/* One shard has one live slot; a slot's shard changes only with its generation. */
static void check_generation(const struct agent *a, struct slot *s)
{
    assert(s->generation >= s->generation_checked);
    assert(s->generation <= a->generation_last);
    if (s->generation > s->generation_checked && s->state != SLOT_FREE && !s->doomed &&
        !agent_slot_waits(s) && !agent_slot_is_range(s)) {
        uint32_t live = agent_slot_live(a, &s->shard);
        assert(&a->slots[live] == s);
        for (uint32_t i = live + 1; i < a->slots_high; i++) {
            const struct slot *other = &a->slots[i];
            assert(other->state == SLOT_FREE || other->doomed || agent_slot_is_range(other) ||
                   !shard_key_equal(&other->shard, &s->shard));
        }
    }
    s->generation_checked = s->generation;
}

static void check_slot(struct slot *s)
{
    check_work(s);
    if (s->state == SLOT_FREE) {
        assert(s->segment_count == 0);
        assert(!s->doomed);
        assert(!agent_slot_is_held(s));
        assert(!s->renew_wanted);
        assert(!s->digest_wanted);
        assert(!s->cancel_wanted);
        return;
    }
    assert(s->segment_count > 0);
    assert(s->generation > 0);
    assert(s->state != SLOT_VERIFIED || s->has_digest);
    assert(s->state != SLOT_FILLING || s->owner);
    assert(s->state != SLOT_DIRTY || s->doomed || s->renew_wanted ||
           s->work_type == AGENT_WORK_RENEW);
    assert(!s->prepares || (s->state == SLOT_DIRTY && s->doomed && !s->owner));
    assert(!s->doomed || s->state == SLOT_DIRTY || s->state == SLOT_FILLING);
    assert(s->loans == 0 || agent_slot_may_be_held(s));
    /* A copy that is proven again may be read from before. */
    assert(s->offers == 0 || s->state == SLOT_SEALED || s->state == SLOT_VERIFIED ||
           s->state == SLOT_ADOPTED || s->doomed);
    assert(!s->digest_wanted || agent_copy_state(s) != COPY_NONE);
    assert(!s->name_pending || agent_copy_state(s) != COPY_NONE);
    assert(!s->name_due || s->name_known);
}

static void check_pins(const struct agent *a)
{
    uint32_t offers = 0, loans = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        offers += a->slots[i].offers;
        loans += a->slots[i].loans;
    }
    for (uint32_t i = 0; i < a->offer_count; i++) {
        const struct offer *offer = &a->offers[i];
        if (offer->state == OFFER_PINNED) {
            assert(a->slots[offer->slot].offers > 0);
            assert(a->slots[offer->slot].generation == offer->generation);
            offers--;
        }
    }
    uint32_t cursor = 0;
    for (const struct load *load; (load = agent_load_next(a, &cursor)) != NULL;) {
        assert(a->sessions[load->session].open);
        assert(load->state != LOAD_ASKING || load->slot == NONE);
        assert((load->state != LOAD_LOANED && load->state != LOAD_PROVING) || load->slot != NONE);
        if (load->slot != NONE) {
            assert(a->slots[load->slot].loans > 0);
            assert(a->slots[load->slot].generation == load->generation);
            loans--;
        }
    }
    assert(offers == 0);
    assert(loans == 0);
}

/* What is read for the tier is held, and stays what it was. */
static void check_persists(const struct agent *a)
{
    uint32_t persists = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        persists += a->slots[i].persists;
    }
    for (uint32_t i = 0; i < AGENT_PERSISTS_MAX; i++) {
        const struct persist *p = &a->persists[i];
        bool reads = (p->state == PERSIST_WANTED || p->state == PERSIST_WORKING) && p->slot != NONE;
        if (reads) {
            assert(a->slots[p->slot].persists > 0);
            assert(a->slots[p->slot].generation == p->generation);
            persists--;
        }
    }
    assert(persists == 0);
}

/* Each session's count is that of its part of the table. */
static void check_loads(const struct agent *a)
{
    for (uint32_t i = 0; i < a->load_count; i += AGENT_LOADS_PER_RANK) {
        const struct rank_session *session = &a->sessions[i / AGENT_LOADS_PER_RANK];
        uint32_t used = 0;
        for (uint32_t j = 0; session->loads > 0 && j < AGENT_LOADS_PER_RANK; j++) {
            used += a->loads[i + j].state != LOAD_UNUSED;
        }
        assert(used == session->loads);
    }
}

static void check_pulls(const struct agent *a)
{
    uint32_t connected = 0;
    for (uint32_t i = 0; i < a->pull_count; i++) {
        const struct pull *pull = &a->pulls[i];
        if (pull->state == PULL_UNUSED) {
            continue;
        }
        assert(pull->load == NONE || a->loads[pull->load].pull == pull->number);
        if (pull->state == PULL_QUEUED) {
            assert(pull->slot == NONE);
            assert(pull->source.peer == NONE);
            continue;
        }
        const struct slot *s = &a->slots[pull->slot];
        assert(s->generation == pull->generation);
        assert(!s->doomed);
        assert(s->state == (pull->state == PULL_RENEWING ? SLOT_DIRTY : SLOT_PULLING));
        assert((pull->state == PULL_READING) == (s->work != 0 && s->work_type == AGENT_WORK_READ));
        connected += pull->source.peer != NONE;
    }
    for (uint32_t i = 0; i < a->peer_count; i++) {
        connected -= a->peers[i].pulls;
    }
    assert(connected == 0);
    assert(agent_pulls_under_way(a) <= a->config.pulls_max);
}

static void check_sessions(const struct agent *a)
{
    uint32_t filling = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        filling += s->state == SLOT_FILLING || (s->state == SLOT_DIRTY && s->owner && !s->doomed);
    }
    for (uint32_t i = 0; i < a->session_count; i++) {
        const struct rank_session *session = &a->sessions[i];
        if (!session->used || session->filling == NONE) {
            continue;
        }
        const struct slot *s = &a->slots[session->filling];
        assert(s->state == SLOT_FILLING || s->state == SLOT_DIRTY);
        assert(s->shard.rank == session->rank);
        assert(s->shard.run.uid == session->uid);
        filling--;
    }
    assert(filling == 0);
}

void agent_invariants(struct agent *a)
{
    check_segments(a);
    check_parts(a);
    assert(a->slots_high <= a->config.slots);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        check_generation(a, &a->slots[i]);
        check_slot(&a->slots[i]);
    }
    check_pins(a);
    check_persists(a);
    check_loads(a);
    check_pulls(a);
    check_sessions(a);
}
