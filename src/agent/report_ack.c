/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/report_ack.h"

#include <assert.h>

#include "agent/checkpoint.h"
#include "agent/digest_key.h"
#include "agent/identity.h"
#include "agent/note.h"
#include "agent/save_outcome.h"
#include "agent/slot.h"

static uint32_t find_acked(const struct agent *a, const struct message_shard_ack *ack)
{
    assert(a->slots_high <= a->config.slots);
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->generation == ack->generation && s->generation != 0 &&
            shard_key_equal(&s->shard, &ack->shard)) {
            return i;
        }
    }
    return NONE;
}

/* The coordinator will not have this copy: it goes. */
static void refused(struct agent *a, uint32_t slot, const struct message_shard_ack *ack)
{
    assert(agent_copy_state(&a->slots[slot]) != COPY_NONE);
    const struct slot *s = &a->slots[slot];
    agent_note(a, EVENT_copy_refused, &s->shard, "slot %u is freed (status %d): %.180s", slot,
               (int)ack->status, ack->reason);
    if (s->owner) {
        enum ckpt_status status = ack->status != CKPT_OK ? ack->status : CKPT_ERR_ABORTED;
        agent_save_end(a, &s->shard, AGENT_ONE_RANK, status, ack->reason);
    }
    agent_slot_doom(a, slot);
}

/* Without it nothing can be proven, and the answer to a report brings it. */
static bool is_key_known(const struct agent *a, const struct slot *s)
{
    struct digest_key key;
    uint64_t id;
    assert(agent_copy_state(s) != COPY_NONE);
    return agent_digest_key_of(a, &s->shard.run, &key, &id);
}

void agent_report_ack(struct agent *a, const struct message_shard_ack *ack)
{
    assert(a->coordinator.state == LINK_JOINED);
    uint32_t slot = find_acked(a, ack);
    if (slot == NONE || !agent_text_ends(ack->reason, CKPT_REASON_MAX)) {
        return;
    }
    struct slot *s = &a->slots[slot];
    enum copy_state state = agent_copy_state(s);
    if (state == COPY_NONE) {
        if (ack->state == COPY_NONE) {
            s->none_pending = false;
        }
        return;
    }
    if (!ack->keep) {
        /* Want of room ends. The next word of a copy that has become more since may find room, and
         * count: its own answer is waited for. */
        if (ack->state == state || ack->status != CKPT_ERR_FULL) {
            refused(a, slot, ack);
        }
        return;
    }
    if (s->state == SLOT_VERIFIED && agent_slot_is_bad(s)) {
        /* The answer is to what was said before it changed. A copy that counts and that nobody may
         * read would block every restore. */
        agent_note(a, EVENT_copy_given_up, &s->shard,
                   "slot %u has had two digests: the copy is given up", slot);
        agent_slot_doom(a, slot);
        return;
    }
    agent_digest_key_told(a, &s->shard.run, &ack->key);
    state = agent_copy_state(s); /* under another key it counts for less, or is given up */
    if (state == COPY_NONE) {
        return;
    }
    s->untold = false;
    if (ack->state == state && (state == COPY_VERIFIED || is_key_known(a, s))) {
        s->acked = true;
        s->report_order = 0;
    }
    if (ack->checkpoint == CHECKPOINT_CONSISTENT) {
        agent_checkpoint_consistent(a, &s->shard, s->world);
    } else if (ack->checkpoint == CHECKPOINT_QUARANTINED) {
        s->checkpoint = CHECKPOINT_QUARANTINED;
    }
}
