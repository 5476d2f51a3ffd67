/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/verify_order.h"

#include <assert.h>

#include "agent/digest_key.h"
#include "agent/identity.h"
#include "agent/note.h"
#include "agent/report.h"
#include "agent/slot.h"
#include "base/planted_bug.h"

/* BLAKE3 of a copy that is proven by another key: `ckptctl verify --blake3`. It is told beside the
 * proof, which it leaves as it is. */
static bool asks_for_name(const struct agent *a, const struct message_verify_order *order)
{
    struct digest_key key;
    uint64_t id;
    return order->key.kind == DIGEST_KIND_BLAKE3 &&
           agent_digest_key_of(a, &order->shard.run, &key, &id) &&
           key.kind == DIGEST_KIND_FINGERPRINT;
}

static void name_order(struct slot *s, struct order number)
{
    assert(agent_copy_state(s) != COPY_NONE);
    int compared = agent_order_compare(number, s->name_asked);
    if (compared > 0) {
        s->name_asked = number;
        s->name_pending = true;
        s->name_known = false;
        s->name_due = false;
    } else if (compared == 0) {
        s->name_due = s->name_known; /* it did not hear */
    }
}

/* A digest that is under way began before the order: another one follows it. */
void agent_verify_order(struct agent *a, const struct message_verify_order *order)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_shard_is_valid(&order->shard)) {
        agent_note(a, EVENT_order_refused, NULL, "verify order %llu names no shard that can be",
                   (unsigned long long)order->order);
        return;
    }
    bool names = asks_for_name(a, order);
    if (!names) {
        agent_digest_key_told(a, &order->shard.run, &order->key);
    }
    struct order number = {a->coordinator.life, order->order};
    uint32_t slot = agent_slot_live(a, &order->shard);
    if (slot == NONE || a->slots[slot].generation != order->generation ||
        agent_copy_state(&a->slots[slot]) == COPY_NONE) {
        agent_report_absent(a, &order->shard, order->generation, order->order);
        return;
    }
    struct slot *s = &a->slots[slot];
    if (names) {
        name_order(s, number);
        return;
    }
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
