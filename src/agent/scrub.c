/* SPDX-License-Identifier: Apache-2.0 */
/* Every held copy is proven again within a period, one after the other, by a digest of its memory
 * as for an order to verify; what differs is refused and reported as there.
 *
 * A copy is due when three quarters of the period have passed since its last digest began, and
 * overdue at its end. One that is due stands back for whatever else this node does with shards: it
 * begins while no rank fills a slot and nothing is read or digested, and the threads go on with it
 * only then (mover/digester.h). One that is overdue stands back no more, so that a node that never
 * rests is scrubbed all the same; it is still one at a time, on one thread.
 *
 * Whoever wants the slot itself (it is to go, an order wants its digest, a load a part of it) does
 * not wait: the scrub is cancelled, and begun again later. */
#include "agent/scrub.h"

#include <assert.h>

#include "agent/digest_key.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "agent/work.h"
#include "base/planted_bug.h"

static bool is_scrubbed(const struct agent *a, const struct slot *s)
{
    struct digest_key key;
    uint64_t id;
    assert(a->config.scrub_ms > 0);
    return s->state == SLOT_VERIFIED && !s->doomed && !s->cached && !agent_slot_is_bad(s) &&
           agent_digest_key_of(a, &s->shard.run, &key, &id) && id == s->digest_key;
}

static uint64_t overdue_ms(const struct agent *a, const struct slot *s)
{
    assert(s->state == SLOT_VERIFIED);
    return s->proven_ms + a->config.scrub_ms;
}

/* Whether nobody else has need of this node's memory or threads. */
static bool is_idle(const struct agent *a)
{
    assert(a->slots_high <= a->config.slots);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->work != 0 || s->digest_wanted || s->name_pending || s->renew_wanted ||
            s->state == SLOT_FILLING || s->state == SLOT_PULLING) {
            return false;
        }
    }
    return true;
}

/* The copy whose proof is the oldest; NONE: there is none. */
static uint32_t find_oldest(const struct agent *a)
{
    uint32_t oldest = NONE;
    assert(a->slots != NULL);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if ((oldest == NONE || s->proven_ms < a->slots[oldest].proven_ms) && s->work == 0 &&
            is_scrubbed(a, s)) {
            oldest = i;
        }
    }
    return oldest;
}

/* False: none is under way. */
static bool go_on(struct agent *a)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (s->work == 0 || !s->work_scrubs) {
            continue;
        }
        if ((s->digest_wanted || s->name_pending) && !s->scrub_cancelled) {
            s->cancel_wanted = true;
        }
        return true;
    }
    return false;
}

void agent_scrubs_pump(struct agent *a)
{
    assert(a->update != NULL);
    if (a->config.scrub_ms == 0 || go_on(a)) {
        return;
    }
    if (a->now_ms < a->scrub_after_ms) {
        agent_update_deadline(a, a->scrub_after_ms);
        return;
    }
    uint32_t slot = find_oldest(a);
    if (slot == NONE) {
        return;
    }
    uint64_t over_ms = overdue_ms(a, &a->slots[slot]);
    uint64_t due_ms = over_ms - a->config.scrub_ms / 4;
    if (a->now_ms < due_ms) {
        agent_update_deadline(a, due_ms);
        return;
    }
    bool is_overdue = a->now_ms >= over_ms;
    if (!is_overdue && !is_idle(a)) {
        agent_update_deadline(a, over_ms); /* the end of what is under way is a turn, too */
        return;
    }
    (void)agent_work_scrub_start(a, slot, is_overdue ? 0 : over_ms - a->now_ms);
}

bool agent_scrub_done(struct agent *a, uint32_t slot, const struct agent_event *event)
{
    struct slot *s = &a->slots[slot];
    assert(s->work_scrubs && s->work == 0);
    s->work_scrubs = false;
    s->scrub_cancelled = false;
    bool says = !s->doomed && event->status != CKPT_ERR_ABORTED;
    if (!says) {
        a->scrub_after_ms =
            a->now_ms + a->config.resend_ms; /* whoever was in need of it is first */
    }
    if (says && PLANTED_BUG(SCRUB_BELIEVES)) {
        s->proven_ms = s->work_began_ms;
        return false;
    }
    return says;
}
