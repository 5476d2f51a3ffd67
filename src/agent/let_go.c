/* SPDX-License-Identifier: Apache-2.0 */
/* A copy that is one too many, or a pull that is not needed any more.
 *
 * What is in use here is kept: lent to a rank, read by a peer, or being digested. The coordinator
 * does not count a copy that it wants to be let go, so a kept one is reported with the order's
 * number, and counts again. */
#include "agent/let_go.h"

#include <assert.h>

#include "agent/identity.h"
#include "agent/note.h"
#include "agent/pull.h"
#include "agent/report.h"
#include "agent/slot.h"

static void call_off(struct agent *a, const struct message_let_go *order)
{
    assert(order->generation == 0);
    for (uint32_t i = 0; i < a->pull_count; i++) {
        struct pull *pull = &a->pulls[i];
        if (pull->state != PULL_UNUSED && pull->load == NONE && pull->life == a->coordinator.life &&
            pull->order.order == order->order &&
            shard_key_equal(&pull->order.shard, &order->shard)) {
            agent_note(a, EVENT_pull_called_off, &order->shard, "the copy that was away is back");
            agent_pull_drop(a, pull);
            return;
        }
    }
}

static bool is_in_use(const struct slot *slot)
{
    assert(slot->state != SLOT_FREE);
    return agent_slot_is_held(slot) || slot->verify_pending || slot->digest_wanted;
}

void agent_let_go(struct agent *a, const struct message_let_go *order)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_shard_is_valid(&order->shard)) {
        agent_note(a, EVENT_order_refused, NULL, "let-go order %llu names no shard that can be",
                   (unsigned long long)order->order);
        return;
    }
    if (order->generation == 0) {
        call_off(a, order);
        return;
    }
    uint32_t slot = agent_slot_live(a, &order->shard);
    if (slot == NONE || a->slots[slot].generation != order->generation ||
        agent_copy_state(&a->slots[slot]) == COPY_NONE) {
        agent_report_absent(a, &order->shard, order->generation, order->order);
        return;
    }
    struct slot *s = &a->slots[slot];
    if (is_in_use(s)) {
        s->report_order = order->order;
        agent_report_wanted(a, slot);
        return;
    }
    agent_note(a, EVENT_copy_let_go, &s->shard,
               "slot %u is freed: other nodes hold as many copies as were asked for", slot);
    agent_slot_doom(a, slot);
}
