/* SPDX-License-Identifier: Apache-2.0 */
/* That this agent lives, and what it holds in sum. */
#include "agent/heartbeat.h"

#include <assert.h>

#include "agent/part.h"
#include "agent/pull_table.h"
#include "agent/refusal.h"
#include "agent/report.h"
#include "agent/slot.h"
#include "agent/update.h"

#define UNSETTLED_LONG 2 /* heartbeats */

static uint32_t count_unverified(const struct agent *a)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        count += a->slots[i].state == SLOT_ADOPTED;
    }
    return count;
}

/* Whether the coordinator has heard of every copy that is here. */
static bool has_told_inventory(const struct agent *a)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (a->slots[i].untold && agent_copy_state(&a->slots[i]) != COPY_NONE) {
            return false;
        }
    }
    return true;
}

static bool is_quiet(const struct agent *a)
{
    for (uint32_t i = 0; i < a->slots_high; i++) {
        if (!a->slots[i].acked && agent_copy_state(&a->slots[i]) != COPY_NONE) {
            return false;
        }
    }
    return agent_pulls_under_way(a) == 0;
}

/* A coordinator that knows all there is to know needs to hear of us so often that no single late
 * word makes us look dead: five times in two leases. */
static uint32_t heartbeat_interval_ms(const struct agent *a)
{
    assert(a->coordinator.heartbeat_ms > 0);
    const struct coordinator_link *c = &a->coordinator;
    uint32_t rare_ms = c->lease_ms / 5 * 2;
    return c->settled && rare_ms > c->heartbeat_ms && is_quiet(a) ? rare_ms : c->heartbeat_ms;
}

/* So that both tables meet even after a lost word. A coordinator whose table is as our memory was
 * at the last heartbeat has missed none; while one heartbeat alone says otherwise, words may be on
 * their way. */
static void resend_some(struct agent *a)
{
    assert(a->coordinator.state == LINK_JOINED);
    struct coordinator_link *c = &a->coordinator;
    uint32_t sent = c->unsettled < UNSETTLED_LONG ? AGENT_INVENTORY_PER_HEARTBEAT : 0;
    for (uint32_t i = 0; i < a->slots_high && sent < AGENT_INVENTORY_PER_HEARTBEAT; i++) {
        uint32_t slot = c->inventory_next < a->slots_high ? c->inventory_next : 0;
        c->inventory_next = slot + 1 < a->slots_high ? slot + 1 : 0;
        if (agent_copy_state(&a->slots[slot]) != COPY_NONE) {
            if (a->slots[slot].acked) {
                agent_report_wanted(a, slot);
            }
            sent++;
        }
    }
}

static void fill_bytes(const struct agent *a, struct message_heartbeat *heartbeat)
{
    heartbeat->has_bytes = true;
    for (uint32_t i = 0; i < a->slots_high; i++) {
        const struct slot *s = &a->slots[i];
        heartbeat->bytes_taken += agent_slot_room(a, s);
        heartbeat->bytes_held += s->segment_count > 0 ? s->bytes : 0;
    }
    agent_parts_room(a, &heartbeat->part_bytes_free, &heartbeat->part_bytes_largest);
    assert(heartbeat->bytes_taken <= a->config.segments * a->config.segment_bytes);
}

static void send_heartbeat(struct agent *a)
{
    assert(a->coordinator.state == LINK_JOINED);
    struct agent_outgoing *out =
        agent_update_message(a, AGENT_TO_COORDINATOR, 0, MESSAGE_HEARTBEAT);
    assert(out != NULL);
    a->coordinator.room_came_back = false;
    out->message.heartbeat.segments_free = a->segments_free;
    assert(a->segments_free <= a->config.segments);
    out->message.heartbeat.pulls = agent_pulls_under_way(a);
    out->message.heartbeat.unverified = count_unverified(a);
    out->message.heartbeat.has_inventory = true;
    out->message.heartbeat.inventory = agent_inventory(a);
    out->message.heartbeat.inventory_told = has_told_inventory(a);
    fill_bytes(a, &out->message.heartbeat);
    out->message.heartbeat.rails = a->rails;
    out->message.heartbeat.rails_up = a->rails_up;
    agent_refusals_fill(a, &out->message.heartbeat);
}

void agent_heartbeat(struct agent *a)
{
    assert(a->coordinator.heartbeat_due_ms <= a->now_ms);
    send_heartbeat(a);
    a->coordinator.heartbeat_due_ms = a->now_ms + heartbeat_interval_ms(a);
    resend_some(a);
}

void agent_room_pump(struct agent *a)
{
    assert(a->update != NULL);
    struct coordinator_link *c = &a->coordinator;
    if (c->room_came_back && c->state == LINK_JOINED && agent_update_has_room(a)) {
        send_heartbeat(a);
    }
}
