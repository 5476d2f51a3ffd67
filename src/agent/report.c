/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator is told of each copy, until it has acknowledged just that.
 *
 * Copies that are here are told again in rotation, acknowledged or not, so a lost word about one
 * is made good. A copy that is gone is told as COPY_NONE until that is acknowledged or its slot is
 * taken again; a coordinator that missed it and orders something of the copy is told then. */
#include "agent/report.h"

#include <assert.h>

#include "agent/slot.h"
#include "agent/update.h"
#include "wire/inventory.h"

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

static void send_report(struct agent *a, struct slot *s)
{
    assert(a->coordinator.state == LINK_JOINED);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_SHARD_REPORT);
    assert(out != NULL);
    assert(!s->record_pending);
    struct message_shard_report *report = &out->message.shard_report;
    report->shard = s->shard;
    report->world = s->world;
    report->copies = s->copies;
    report->bytes = s->bytes;
    report->generation = s->generation;
    report->state = agent_copy_state(s);
    assert(report->state != COPY_NONE || s->none_pending);
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
        report->digest_key = s->digest_key;
        report->changed = agent_slot_is_bad(s);
    }
    s->report_due_ms = a->now_ms + a->config.resend_ms;
}

/* The digest that an order asked for beside the proof. Nothing of the copy has changed by it, so
 * that its answer means nothing for the copy's own report; which goes first. */
static void send_name(struct agent *a, struct slot *s)
{
    assert(s->name_known);
    uint64_t due_ms = s->report_due_ms;
    send_report(a, s);
    struct message_shard_report *report =
        &a->update->messages[a->update->message_count - 1].message.shard_report;
    report->state = COPY_VERIFIED;
    report->order = s->name_asked.number;
    report->digest = s->name_digest;
    report->digest_key = DIGEST_KEY_ID_BLAKE3;
    report->changed = false;
    s->report_due_ms = due_ms;
    s->name_due = false;
}

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
    assert(s->generation > 0 || s->state == SLOT_FREE);
    return s->none_pending ||
           (!s->acked && agent_copy_state(s) != COPY_NONE && !agent_slot_waits(s));
}

void agent_reports_pump(struct agent *a)
{
    assert(a->update != NULL);
    for (uint32_t i = 0; a->coordinator.state == LINK_JOINED && i < a->slots_high; i++) {
        struct slot *s = &a->slots[i];
        if (s->record_pending) {
            continue;
        }
        bool wanted = is_wanted(s);
        bool is_due = wanted ? s->report_due_ms <= a->now_ms : s->name_due;
        if (is_due) {
            if (!agent_update_has_room(a)) {
                return;
            }
            if (wanted) {
                send_report(a, s);
            } else {
                send_name(a, s);
            }
        }
        if (wanted) {
            agent_update_deadline(a, s->report_due_ms);
        }
    }
}
