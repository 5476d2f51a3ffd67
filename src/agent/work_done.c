/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of a work means for its slot. */
#include "agent/work_done.h"

#include <assert.h>

#include "agent/device_key.h"
#include "agent/digest_key.h"
#include "agent/gather.h"
#include "agent/note.h"
#include "agent/persist.h"
#include "agent/pull_answer.h"
#include "agent/range.h"
#include "agent/save.h"
#include "agent/scrub.h"
#include "agent/segment.h"
#include "agent/slot.h"
#include "agent/work.h"

/* Whether a digest that ended now, over this slot's memory, makes its copy count. */
static bool digest_counts(const struct slot *slot)
{
    return slot->state == SLOT_SEALED || slot->state == SLOT_ADOPTED;
}

static void digest_failed(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    assert(status != CKPT_OK);
    assert(!a->slots[slot].doomed);
    struct slot *s = &a->slots[slot];
    agent_note(a, EVENT_digest_failed, &s->shard,
               "the bytes in slot %u could not be digested (status %d): the copy is given up", slot,
               (int)status);
    agent_slot_doom(a, slot);
}

static void adopted_differs(struct agent *a, uint32_t slot)
{
    assert(a->slots[slot].state == SLOT_ADOPTED);
    agent_note(
        a, EVENT_digest_mismatch, &a->slots[slot].shard,
        "slot %u has changed since the agent before this one digested it: the copy is given up",
        slot);
    agent_slot_doom(a, slot);
}

static void verified_again(struct agent *a, uint32_t slot, const struct digest *digest)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_VERIFIED);
    assert(s->has_digest);
    s->found = *digest;
    s->proven_ms = s->work_began_ms;
    s->unread_since_ms = a->now_ms; /* of a cached copy: a restore is about to read it */
    if (!digest_equal(&s->digest, digest)) {
        agent_note(a, EVENT_digest_mismatch, &s->shard,
                   "slot %u has changed since its first digest: the copy is reported as it is and "
                   "not handed out",
                   slot);
    }
    agent_report_wanted(a, slot);
}

/* An order that came while it was computed wants it computed anew. */
static void name_done(const struct agent *a, struct slot *s, const struct digest *name)
{
    assert(s->work_key == DIGEST_KEY_ID_BLAKE3);
    assert(agent_copy_state(s) != COPY_NONE);
    (void)a;
    if (!s->name_pending) {
        s->name_digest = *name;
        s->name_known = true;
        s->name_due = true;
    }
}

static void digest_done(struct agent *a, uint32_t slot, const struct agent_event *event)
{
    struct slot *s = &a->slots[slot];
    assert(s->state != SLOT_FREE);
    if (s->doomed) {
        return;
    }
    if (event->status != CKPT_OK) {
        digest_failed(a, slot, event->status);
        return;
    }
    if (s->work_names) {
        name_done(a, s, &event->digest);
        return;
    }
    if (!agent_device_agrees(a, slot, &event->device_digest)) {
        agent_slot_doom(a, slot);
        return;
    }
    if (agent_digest_key_is_other(a, &s->shard.run, s->work_key)) {
        s->digest_wanted = true; /* its run was told to have another key meanwhile */
        return;
    }
    /* One of the record under another key is unknown, and not another. */
    if (s->state == SLOT_ADOPTED && s->has_digest && s->digest_key == s->work_key &&
        !digest_equal(&s->digest, &event->digest)) {
        adopted_differs(a, slot);
        return;
    }
    if (s->work_serves_verify) {
        s->work_serves_verify = false;
        s->verify_pending = false;
        s->report_order = s->verify.number;
    }
    if (digest_counts(s)) {
        agent_slot_verified(a, slot, &event->digest, s->work_key);
    } else {
        verified_again(a, slot, &event->digest);
    }
}

static void renew_done(struct agent *a, uint32_t slot, enum ckpt_status status)
{
    struct slot *s = &a->slots[slot];
    assert(s->state == SLOT_DIRTY);
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
    uint32_t slot = agent_persist_done(a, event) ? NONE : agent_work_find(a, event->work);
    if (slot == NONE) {
        return;
    }
    struct slot *s = &a->slots[slot];
    enum agent_work_type type = s->work_type;
    assert(s->segment_count > 0);
    s->work = 0;
    s->cancel_wanted = false;
    if (type == AGENT_WORK_DIGEST && s->work_proves) {
        s->work_proves = false;
        agent_range_proven(a, slot, event);
    } else if (type == AGENT_WORK_DIGEST && s->work_scrubs) {
        if (agent_scrub_done(a, slot, event)) {
            digest_done(a, slot, event);
        }
    } else if (type == AGENT_WORK_DIGEST) {
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
