/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator is told of each copy, until it has acknowledged just that.
 *
 * Copies that are here are told again in rotation, acknowledged or not, so a lost word about one
 * is made good. A copy that is gone is told as COPY_NONE until that is acknowledged or its slot is
 * taken again; a coordinator that missed it and orders something of the copy is told then. */
#include "agent/state.h"

#include <assert.h>
#include <string.h>

#include "wire/inventory.h"

enum copy_state agent_copy_state(const struct slot *slot)
{
    if (slot->doomed) {
        return COPY_NONE;
    }
    switch (slot->state) {
    case SLOT_SEALED:
        return COPY_SEALED;
    case SLOT_ADOPTED:
        return COPY_HELD;
    case SLOT_VERIFIED:
        return COPY_VERIFIED;
    case SLOT_FREE:
    case SLOT_FILLING:
    case SLOT_PULLING:
    case SLOT_DIRTY:
        break;
    }
    return COPY_NONE;
}

/* Something about the slot is new, or is asked for: it is reported now, until acknowledged. */
void agent_report_wanted(struct agent *a, uint32_t slot)
{
    struct slot *s = &a->slots[slot];
    assert(agent_copy_state(s) != COPY_NONE);
    if (agent_slot_waits(s)) {
        return; /* it has no name to be told by */
    }
    s->acked = false;
    s->report_due_ms = a->now_ms;
}

/* The answer to an order about a copy that is not here. */
void agent_report_absent(struct agent *a, const struct shard_key *shard, uint64_t generation,
                         uint64_t order)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_SHARD_REPORT);
    assert(out != NULL);
    struct message_shard_report *report = &out->message.shard_report;
    report->shard = *shard;
    /* Nothing is known of it; a report never says zero of these. */
    report->world = shard->rank + 1;
    report->copies = 1;
    report->bytes = 1;
    report->generation = generation;
    report->state = COPY_NONE;
    report->order = order;
}

static void say(struct agent *a, struct slot *s)
{
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_SHARD_REPORT);
    assert(out != NULL && !s->record_pending);
    struct message_shard_report *report = &out->message.shard_report;
    report->shard = s->shard;
    report->world = s->world;
    report->copies = s->copies;
    report->bytes = s->bytes;
    report->generation = s->generation;
    report->state = agent_copy_state(s);
    report->owner = s->owner;
    report->cached = s->cached;
    report->order = s->report_order;
    if (s->owner && s->replica_said) {
        report->replica_said = true;
        report->replica_leader = s->replica_leader;
        report->replica_part = s->replica_part;
        report->replica_value = s->replica_value;
    }
    if (report->state == COPY_VERIFIED) {
        report->digest = s->found;
        report->changed = agent_slot_is_bad(s);
    }
    s->report_due_ms = a->now_ms + a->config.resend_ms;
}

static uint32_t find_acked(const struct agent *a, const struct message_shard_ack *ack)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        if (s->generation == ack->generation && s->generation != 0 &&
            agent_shard_equal(&s->shard, &ack->shard)) {
            return i;
        }
    }
    return AGENT_NONE;
}

/* The coordinator will not have this copy: it goes, whatever it has become since the report. */
static void refused(struct agent *a, uint32_t slot, const struct message_shard_ack *ack)
{
    const struct slot *s = &a->slots[slot];
    agent_note(a, EVENT_copy_refused, &s->shard, "slot %u is freed (status %d): %.180s", slot,
               (int)ack->status, ack->reason);
    if (s->owner) {
        enum ckpt_status status = ack->status != CKPT_OK ? ack->status : CKPT_ERR_ABORTED;
        agent_save_end(a, &s->shard, AGENT_ONE_RANK, status, ack->reason);
    }
    agent_slot_doom(a, slot);
}

void agent_report_ack(struct agent *a, const struct message_shard_ack *ack)
{
    uint32_t slot = find_acked(a, ack);
    if (slot == AGENT_NONE || !agent_text_ends(ack->reason, CKPT_REASON_MAX)) {
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
        refused(a, slot, ack);
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
    s->untold = false;
    if (ack->state == state) {
        s->acked = true;
        s->report_order = 0;
    }
    if (ack->checkpoint == CHECKPOINT_CONSISTENT) {
        agent_checkpoint_consistent(a, &s->shard, s->world);
    } else if (ack->checkpoint == CHECKPOINT_QUARANTINED) {
        s->checkpoint = CHECKPOINT_QUARANTINED;
    }
}

/* What the coordinator knows when it knows all that say() tells. */
uint64_t agent_inventory(const struct agent *a)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        enum copy_state state = agent_copy_state(s);
        if (state == COPY_NONE) {
            continue;
        }
        uint64_t weight = inventory_copy(inventory_shard(&s->shard), s->generation, state, s->owner,
                                         s->cached, &s->found);
        sum += s->checkpoint == CHECKPOINT_CONSISTENT ? inventory_consistent(weight) : weight;
    }
    return sum;
}

static bool is_wanted(const struct slot *s)
{
    return s->none_pending ||
           (!s->acked && agent_copy_state(s) != COPY_NONE && !agent_slot_waits(s));
}

void agent_reports_pump(struct agent *a)
{
    for (uint32_t i = 0; a->coordinator.joined && i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (!is_wanted(s) || s->record_pending) {
            continue;
        }
        if (s->report_due_ms <= a->now_ms) {
            if (!agent_update_has_room(a)) {
                return;
            }
            say(a, s);
        }
        agent_update_deadline(a, s->report_due_ms);
    }
}
