/* SPDX-License-Identifier: Apache-2.0 */
/* The works over a slot's memory, and what a digest means when it ends. */
#include "agent/state.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"

/* A work's number holds its slot, so that a completion finds it, or finds that it is stale. */
#define WORK_SLOT_BITS 16
_Static_assert(CKPT_ARENA_SEGMENTS_MAX <= 1 << WORK_SLOT_BITS, "a slot's number fits");

static bool digests_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static bool start(struct agent *a, uint32_t slot, enum agent_work_type type)
{
    struct slot *s = &a->slots[slot];
    assert(s->work == 0 && s->segment_count > 0);
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
    uint32_t under_way = 0, adopted = 0, best = AGENT_NONE;
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
        return AGENT_NONE;
    }
    return best;
}

static bool cancel_read(struct agent *a, uint32_t slot)
{
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
    for (uint32_t i = 0; i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (s->cancel_wanted && !cancel_read(a, i)) {
            return;
        }
        if (s->renew_wanted) {
            assert(s->state == SLOT_DIRTY && !s->doomed);
            if (s->record_pending || !start(a, i, AGENT_WORK_RENEW)) {
                a->update->again = true;
                return;
            }
            s->renew_wanted = false;
        }
    }
    for (uint32_t next = find_next(a); next != AGENT_NONE; next = find_next(a)) {
        if (!start(a, next, AGENT_WORK_DIGEST)) {
            return;
        }
        a->slots[next].digest_wanted = false;
        a->slots[next].work_serves_verify = a->slots[next].verify_pending;
    }
}

/* Whether a digest that ended now, over this slot's memory, makes its copy count. */
bool agent_digest_counts(const struct slot *slot)
{
    return slot->state == SLOT_SEALED || slot->state == SLOT_ADOPTED;
}

static void digest_failed(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    struct slot *s = &a->slots[slot];
    agent_note(a, EVENT_digest_failed, &s->shard,
               "the bytes in slot %u could not be digested (status %d): the copy is given up", slot,
               (int)status);
    agent_slot_doom(a, slot);
}

static void adopted_differs(struct agent *a, uint32_t slot)
{
    agent_note(
        a, EVENT_digest_mismatch, &a->slots[slot].shard,
        "slot %u has changed since the agent before this one digested it: the copy is given up",
        slot);
    agent_slot_doom(a, slot);
}

static void verified_again(struct agent *a, uint32_t slot, const struct digest *digest)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_VERIFIED && s->has_digest);
    s->found = *digest;
    s->unread_since_ms = a->now_ms; /* of a cached copy: a restore is about to read it */
    if (!digests_equal(&s->digest, digest)) {
        agent_note(a, EVENT_digest_mismatch, &s->shard,
                   "slot %u has changed since its first digest: the copy is reported as it is and "
                   "not handed out",
                   slot);
    }
    agent_report_wanted(a, slot);
}

static void digest_done(struct agent *a, uint32_t slot, const struct agent_event *event)
{
    struct slot *s = &a->slots[slot];
    if (s->doomed) {
        return;
    }
    if (event->status != CKPT_OK) {
        digest_failed(a, slot, event->status);
        return;
    }
    if (s->state == SLOT_ADOPTED && s->has_digest && !digests_equal(&s->digest, &event->digest)) {
        adopted_differs(a, slot);
        return;
    }
    if (s->work_serves_verify) {
        s->work_serves_verify = false;
        s->verify_pending = false;
        s->report_order = s->verify.number;
    }
    if (agent_digest_counts(s)) {
        agent_slot_verified(a, slot, &event->digest);
    } else {
        verified_again(a, slot, &event->digest);
    }
}

static void renew_done(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    struct slot *s = &a->slots[slot];
    agent_segments_renewed(a, slot, status == CKPT_OK);
    if (s->doomed) {
        return;
    }
    if (status != CKPT_OK) {
        agent_note(a, EVENT_renew_failed, &s->shard,
                   "the memory of slot %u could not be made ready (status %d)", slot, (int)status);
    }
    if (s->owner) {
        agent_save_renewed(a, slot, status);
    } else {
        agent_pull_renewed(a, slot, status);
    }
}

/* The one place where completions of works that are not under way are dropped. */
void agent_work_done(struct agent *a, const struct agent_event *event)
{
    uint32_t slot = (uint32_t)(event->work & ((1U << WORK_SLOT_BITS) - 1));
    if (event->work == 0 || slot >= a->config.slots || a->slots[slot].work != event->work) {
        return;
    }
    struct slot *s = &a->slots[slot];
    enum agent_work_type type = s->work_type;
    s->work = 0;
    s->cancel_wanted = false;
    if (type == AGENT_WORK_DIGEST) {
        digest_done(a, slot, event);
    } else if (type == AGENT_WORK_RENEW) {
        renew_done(a, slot, event->status);
    } else if (type == AGENT_WORK_GATHER) {
        agent_gather_done(a, slot, event->status);
    } else {
        assert(type == AGENT_WORK_READ);
        if (!s->doomed) {
            agent_pull_read_done(a, slot, event);
        }
    }
}

/* A digest that is under way began before the order: another one follows it. */
void agent_verify_order(struct agent *a, const struct message_verify_order *order)
{
    if (!agent_shard_is_valid(&order->shard)) {
        agent_note(a, EVENT_order_refused, NULL, "verify order %llu names no shard that can be",
                   (unsigned long long)order->order);
        return;
    }
    struct order number = {a->coordinator.life, order->order};
    uint32_t slot = agent_slot_live(a, &order->shard);
    if (slot == AGENT_NONE || a->slots[slot].generation != order->generation ||
        agent_copy_state(&a->slots[slot]) == COPY_NONE) {
        agent_report_absent(a, &order->shard, order->generation, order->order);
        return;
    }
    struct slot *s = &a->slots[slot];
    int compared = agent_order_compare(number, s->verify);
    if (compared < 0 || (compared == 0 && s->verify_pending)) {
        return;
    }
    if (compared == 0) {
        s->report_order = order->order;
        agent_report_wanted(a, slot);
        return;
    }
    if (PLANTED_BUG(REPEAT_DIGEST) && s->state == SLOT_VERIFIED) {
        s->verify = number;
        s->report_order = order->order;
        agent_report_wanted(a, slot);
        return;
    }
    s->verify = number;
    s->verify_pending = true;
    s->work_serves_verify = false;
    s->digest_wanted = true;
}
