/* SPDX-License-Identifier: Apache-2.0 */
/* The works over a slot's memory: one at a time, and digests in the order of who waits. */
#include "agent/work.h"

#include <assert.h>

#include "agent/update.h"

/* A work's number holds its slot, so that a completion finds it, or finds that it is stale. */
#define WORK_SLOT_BITS 16
_Static_assert(CKPT_ARENA_SEGMENTS_MAX <= 1 << WORK_SLOT_BITS, "a slot's number fits");

uint32_t agent_work_find(const struct agent *a, uint64_t work)
{
    uint32_t slot = (uint32_t)(work & ((1U << WORK_SLOT_BITS) - 1));
    bool is_under_way = work != 0 && slot < a->config.slots && a->slots[slot].work == work;
    return is_under_way ? slot : NONE;
}

static bool start(struct agent *a, uint32_t slot, enum agent_work_type type)
{
    struct slot *s = &a->slots[slot];
    assert(s->work == 0);
    assert(s->segment_count > 0);
    struct agent_work *work = agent_update_work(a, type);
    if (work == NULL) {
        return false;
    }
    work->work = (++a->work_last << WORK_SLOT_BITS) | slot;
    work->slot = slot;
    work->generation = s->generation;
    work->bytes = s->bytes;
    s->work = work->work;
    s->work_type = type;
    return true;
}

bool agent_work_read_start(struct agent *a, uint32_t slot, uint32_t link)
{
    assert(a->slots[slot].state == SLOT_PULLING);
    if (!start(a, slot, AGENT_WORK_READ)) {
        return false;
    }
    a->update->works[a->update->work_count - 1].link = link;
    return true;
}

bool agent_work_gather_start(struct agent *a, uint32_t slot, uint32_t link)
{
    assert(a->slots[slot].state == SLOT_FILLING);
    if (!start(a, slot, AGENT_WORK_GATHER)) {
        return false;
    }
    a->update->works[a->update->work_count - 1].link = link;
    return true;
}

/* Which slot's digest comes next: what a rank waits for, then what the coordinator asks for, then
 * what was found after a restart. */
static unsigned digest_rank(const struct slot *slot)
{
    if (!slot->digest_wanted || slot->work != 0) {
        return 0;
    }
    switch (slot->state) {
    case SLOT_SEALED:
        return 3;
    case SLOT_VERIFIED:
        return 2;
    case SLOT_ADOPTED:
        return 1;
    case SLOT_FREE:
    case SLOT_FILLING:
    case SLOT_PULLING:
    case SLOT_DIRTY:
        break;
    }
    assert(false && "a slot without complete bytes wants no digest");
    return 0;
}

static uint32_t find_next(const struct agent *a)
{
    uint32_t under_way = 0, adopted = 0, best = NONE;
    unsigned best_rank = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->work != 0 && s->work_type == AGENT_WORK_DIGEST) {
            under_way++;
            adopted += s->state == SLOT_ADOPTED;
        }
        if (digest_rank(s) > best_rank) {
            best_rank = digest_rank(s);
            best = i;
        }
    }
    if (under_way >= AGENT_DIGESTS_MAX ||
        (best_rank == 1 && adopted >= AGENT_ADOPTED_DIGESTS_MAX)) {
        return NONE;
    }
    return best;
}

static bool cancel_read(struct agent *a, uint32_t slot)
{
    assert(a->slots[slot].work != 0);
    struct slot *s = &a->slots[slot];
    struct agent_work *work = agent_update_work(a, AGENT_WORK_CANCEL);
    if (work == NULL) {
        return false;
    }
    work->slot = slot;
    work->generation = s->generation;
    work->cancels = s->work;
    s->cancel_wanted = false;
    return true;
}

void agent_works_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (s->cancel_wanted && !cancel_read(a, i)) {
            return;
        }
        if (s->renew_wanted) {
            assert(s->state == SLOT_DIRTY);
            assert(!s->doomed || s->prepares);
            if (s->record_pending || !start(a, i, AGENT_WORK_RENEW)) {
                a->update->again = true;
                return;
            }
            s->renew_wanted = false;
        }
    }
    for (uint32_t next = find_next(a); next != NONE; next = find_next(a)) {
        if (!start(a, next, AGENT_WORK_DIGEST)) {
            return;
        }
        a->slots[next].digest_wanted = false;
        a->slots[next].work_serves_verify = a->slots[next].verify_pending;
    }
}
