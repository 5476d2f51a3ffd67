/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's orders to pull. */
#include "agent/pull_order.h"

#include <assert.h>
#include <string.h>

#include "agent/digest_key.h"
#include "agent/identity.h"
#include "agent/note.h"
#include "agent/pull.h"
#include "agent/pull_table.h"
#include "agent/pull_failure.h"
#include "agent/slot.h"
#include "agent/update.h"
#include "agent/verify_order.h"

const char *agent_pull_order_fault(const struct agent *a, const struct message_pull_order *order)
{
    if (order->world == 0 || order->world > CKPT_WORLD_MAX || order->shard.rank >= order->world) {
        return "the order's rank is outside its world";
    }
    if (order->copies == 0 || order->copies > CKPT_COPIES_MAX) {
        return "the order's number of copies is out of range";
    }
    if (order->bytes == 0) {
        return "the order is for no bytes";
    }
    if ((unsigned)order->purpose > PULL_FETCH) {
        return "the order's purpose is unknown";
    }
    if (!name_is_valid(order->source_node, CKPT_NODE_NAME_MAX) ||
        order->source_address[0] == '\0' ||
        !agent_text_ends(order->source_address, CKPT_ADDRESS_MAX) ||
        incarnation_is_zero(&order->source_incarnation)) {
        return "the order's source has no name, address or incarnation";
    }
    if (incarnation_equal(&order->source_incarnation, &a->incarnation)) {
        return "the order names this agent as the source";
    }
    return NULL;
}

/* The shard is here, or a rank here writes it. */
static void order_for_held(struct agent *a, uint32_t slot, const struct message_pull_order *order)
{
    assert(a->slots[slot].state != SLOT_FREE);
    struct slot *s = &a->slots[slot];
    if (s->bytes != order->bytes) {
        agent_pull_fail_order(a, order, a->coordinator.life, CKPT_ERR_SIZE,
                              "a copy of another size is here already");
        return;
    }
    switch (s->state) {
    case SLOT_VERIFIED:
    case SLOT_ADOPTED:
        if (s->cached && order->purpose != PULL_FETCH) {
            s->cached = false;
            agent_update_record(a, slot);
        }
        /* Who orders the bytes wants to know them good now, and not when they came. */
        agent_verify_order(a, &(struct message_verify_order){.order = order->order,
                                                             .shard = order->shard,
                                                             .generation = s->generation});
        return;
    case SLOT_FILLING:
    case SLOT_SEALED:
    case SLOT_DIRTY:
        agent_pull_fail_order(a, order, a->coordinator.life, CKPT_ERR_BUSY,
                              "the owner's own copy is here, and not digested yet");
        return;
    case SLOT_FREE:
    case SLOT_PULLING:
        break;
    }
    assert(false && "a live slot that is pulled has its pull");
}

static bool same_source(const struct pull_source *a, const struct pull_source *b)
{
    return a->kind == b->kind && incarnation_equal(&a->incarnation, &b->incarnation) &&
           a->generation == b->generation && strcmp(a->address, b->address) == 0;
}

/* A newer order for a shard that is being pulled. From the same source only its number matters. */
static void order_again(struct agent *a, struct pull *pull, const struct message_pull_order *order)
{
    assert(pull->state != PULL_UNUSED);
    struct order now = {a->coordinator.life, order->order};
    struct order before = {pull->life, pull->order.order};
    if (agent_order_compare(now, before) <= 0) {
        return;
    }
    struct pull_source source = agent_pull_source_of(order);
    bool is_same = same_source(&pull->source, &source) && pull->order.bytes == order->bytes;
    if (pull->state != PULL_QUEUED && !is_same) {
        agent_pull_drop(a, pull);
        agent_pull_enqueue(a, order);
        return;
    }
    bool counts = order->purpose != PULL_FETCH || pull->order.purpose != PULL_FETCH;
    enum pull_purpose purpose =
        counts && order->purpose == PULL_FETCH ? pull->order.purpose : order->purpose;
    pull->order = *order;
    pull->order.purpose = purpose;
    if (!is_same) {
        pull->source = source;
    }
    pull->life = a->coordinator.life;
    if (pull->slot != NONE && counts && a->slots[pull->slot].cached) {
        a->slots[pull->slot].cached = false;
        agent_update_record(a, pull->slot);
    }
}

void agent_pull_order(struct agent *a, const struct message_pull_order *order)
{
    assert(a->coordinator.state == LINK_JOINED);
    if (!agent_shard_is_valid(&order->shard)) {
        agent_note(a, EVENT_order_refused, NULL, "pull order %llu names no shard that can be",
                   (unsigned long long)order->order);
        return;
    }
    if (agent_pull_failed_before(a, order->order, a->coordinator.life)) {
        return;
    }
    const char *wrong = agent_pull_order_fault(a, order);
    if (wrong != NULL) {
        agent_pull_fail_order(a, order, a->coordinator.life, CKPT_ERR_INVALID, wrong);
        return;
    }
    agent_digest_key_told(a, &order->shard.run, &order->key);
    struct pull *pull = agent_pull_of_shard(a, &order->shard);
    if (pull != NULL) {
        order_again(a, pull, order);
        return;
    }
    uint32_t slot = agent_slot_live(a, &order->shard);
    if (slot != NONE) {
        order_for_held(a, slot, order);
    } else {
        agent_pull_enqueue(a, order);
    }
}
