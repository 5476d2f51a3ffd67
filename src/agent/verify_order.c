/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/verify_order.h"

#include <assert.h>

#include "agent/identity.h"
#include "agent/note.h"
#include "agent/report.h"
#include "agent/slot.h"
#include "base/planted_bug.h"

/* A digest that is under way began before the order: another one follows it. */
void agent_verify_order(struct agent *a, const struct message_verify_order *order)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_shard_is_valid(&order->shard)) {
        agent_note(a, EVENT_order_refused, NULL, "verify order %llu names no shard that can be",
                   (unsigned long long)order->order);
        return;
    }
    struct order number = {a->coordinator.life, order->order};
    uint32_t slot = agent_slot_live(a, &order->shard);
    if (slot == NONE || a->slots[slot].generation != order->generation ||
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
