/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to take a shard to the tier, or to say there that a checkpoint is whole.
 *
 *   UNUSED --order--> WANTED --begun--> WORKING --done--> ENDED --another order needs the place--.
 *     ^                 '------------it can't be-----------^                                     |
 *     '------------------------------------------------------------------------------------------'
 *
 * The slot is held while it is read. An order that comes again while it is worked on changes
 * nothing; one that has ended is told again. What an agent's restart forgets is ordered again, and
 * done again: that is harmless. */
#include "agent/persist.h"

#include <assert.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/note.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "base/reason.h"

/* A work's number, of another kind than those over slots. */
#define WORK_OF_TIER (UINT64_C(1) << 63)

static const unsigned moves[] = {
    [PERSIST_UNUSED] = TO(PERSIST_WANTED) | TO(PERSIST_ENDED),
    [PERSIST_WANTED] = TO(PERSIST_WORKING) | TO(PERSIST_ENDED),
    [PERSIST_WORKING] = TO(PERSIST_ENDED),
    [PERSIST_ENDED] = TO(PERSIST_UNUSED),
};

static void move(struct persist *p, enum persist_state to)
{
    assert(MAY_MOVE(moves, p->state, to));
    p->state = to;
}

static void end(struct agent *a, struct persist *p, enum ckpt_status status, const char *reason)
{
    assert(p->state != PERSIST_ENDED);
    move(p, PERSIST_ENDED);
    p->told.status = status;
    reason_set(p->told.reason, "%s", reason);
    p->ended_ms = a->now_ms;
    p->is_due = true;
}

/* True: the order is known, and need not begin. */
static bool is_known(struct agent *a, uint64_t order)
{
    assert(a->coordinator.life > 0);
    for (uint32_t i = 0; i < AGENT_PERSISTS_MAX; i++) {
        struct persist *p = &a->persists[i];
        if (p->state != PERSIST_UNUSED && p->told.order == order &&
            p->life == a->coordinator.life) {
            p->is_due = p->state == PERSIST_ENDED;
            return true;
        }
    }
    return false;
}

/* A free place, or that of what ended longest ago. NULL: all are worked on. */
static struct persist *find_place(struct agent *a)
{
    assert(a->update != NULL);
    struct persist *oldest = NULL;
    for (uint32_t i = 0; i < AGENT_PERSISTS_MAX; i++) {
        struct persist *p = &a->persists[i];
        if (p->state == PERSIST_UNUSED) {
            return p;
        }
        if (p->state == PERSIST_ENDED && (oldest == NULL || p->ended_ms < oldest->ended_ms)) {
            oldest = p;
        }
    }
    if (oldest != NULL) {
        move(oldest, PERSIST_UNUSED);
    }
    return oldest;
}

/* NULL: there is no place, and it comes again. */
static struct persist *make(struct agent *a, uint64_t order)
{
    assert(a->coordinator.state == LINK_JOINED);
    struct persist *p = is_known(a, order) ? NULL : find_place(a);
    if (p != NULL) {
        memset(p, 0, sizeof(*p));
        p->life = a->coordinator.life;
        p->told.order = order;
        p->slot = NONE;
    }
    return p;
}

void agent_persist_order(struct agent *a, const struct message_persist_order *order)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_shard_is_valid(&order->shard)) {
        agent_note(a, EVENT_order_refused, NULL, "persist order %llu names no shard that can be",
                   (unsigned long long)order->order);
        return;
    }
    struct persist *p = make(a, order->order);
    if (p == NULL) {
        return;
    }
    p->shard = *order;
    uint32_t slot = agent_slot_live(a, &order->shard);
    if (!a->config.has_tier) {
        end(a, p, CKPT_ERR_UNSUPPORTED, "this agent has no tier");
    } else if (slot == NONE || a->slots[slot].generation != order->generation ||
               a->slots[slot].bytes != order->bytes || !agent_slot_may_be_loaned(&a->slots[slot])) {
        end(a, p, CKPT_ERR_STALE, "the copy is here no longer, or is being proven");
    } else {
        move(p, PERSIST_WANTED);
        p->slot = slot;
        p->generation = order->generation;
        a->slots[slot].persists++;
    }
}

void agent_manifest_order(struct agent *a, const struct message_manifest_order *order)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_run_is_valid(&order->run)) {
        agent_note(a, EVENT_order_refused, NULL, "manifest order %llu names no run that can be",
                   (unsigned long long)order->order);
        return;
    }
    struct persist *p = make(a, order->order);
    if (p == NULL) {
        return;
    }
    p->is_manifest = true;
    p->manifest = *order;
    if (a->config.has_tier) {
        move(p, PERSIST_WANTED);
    } else {
        end(a, p, CKPT_ERR_UNSUPPORTED, "this agent has no tier");
    }
}

static void unpin(struct agent *a, const struct persist *p)
{
    if (p->slot != NONE) {
        assert(a->slots[p->slot].persists > 0);
        a->slots[p->slot].persists--;
    }
}

static const struct shard_key *shard_of(const struct persist *p)
{
    assert(p->state != PERSIST_UNUSED);
    return p->is_manifest ? NULL : &p->shard.shard;
}

bool agent_persist_done(struct agent *a, const struct agent_event *event)
{
    assert(a->update != NULL);
    if ((event->work & WORK_OF_TIER) == 0) {
        return false;
    }
    for (uint32_t i = 0; i < AGENT_PERSISTS_MAX; i++) {
        struct persist *p = &a->persists[i];
        if (p->state != PERSIST_WORKING || p->work != event->work) {
            continue;
        }
        unpin(a, p);
        if (!p->is_manifest) {
            p->told.name = event->digest;
        }
        p->told.bytes = event->bytes;
        end(a, p, event->status, event->reason != NULL ? event->reason : "");
        if (event->status != CKPT_OK) {
            agent_note(a, EVENT_persist_failed, shard_of(p), "%s (status %d)", p->told.reason,
                       (int)event->status);
        }
        break;
    }
    return true;
}

/* False: no room in the update. */
static bool begin(struct agent *a, struct persist *p)
{
    assert(p->is_manifest == (p->slot == NONE));
    struct agent_work *work =
        agent_update_work(a, p->is_manifest ? AGENT_WORK_MANIFEST : AGENT_WORK_PERSIST);
    if (work == NULL) {
        return false;
    }
    p->work = work->work = ++a->work_last | WORK_OF_TIER;
    work->slot = p->slot;
    work->generation = p->generation;
    if (p->is_manifest) {
        work->manifest = &p->manifest;
    } else {
        work->bytes = p->shard.bytes;
        work->persist = &p->shard;
    }
    move(p, PERSIST_WORKING);
    return true;
}

static void tell(struct agent *a, struct persist *p)
{
    assert(p->state == PERSIST_ENDED);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_PERSIST_TOLD);
    assert(out != NULL);
    out->message.persist_told = p->told;
    p->is_due = false;
}

void agent_persists_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; i < AGENT_PERSISTS_MAX; i++) {
        struct persist *p = &a->persists[i];
        if (p->state == PERSIST_WANTED && !begin(a, p)) {
            return;
        }
        bool is_to_be_told = p->state == PERSIST_ENDED && p->is_due &&
                             a->coordinator.state == LINK_JOINED && p->life == a->coordinator.life;
        if (is_to_be_told && !agent_update_has_room(a)) {
            return;
        }
        if (is_to_be_told) {
            tell(a, p);
        }
    }
}
