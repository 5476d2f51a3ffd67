/* SPDX-License-Identifier: Apache-2.0 */
/* What agents were told to take to the tier, and have not answered. */
#include "coordinator/persist_order.h"

#include <assert.h>
#include <string.h>

struct persist_order *coordinator_persist_order_add(struct coordinator *c, uint32_t member,
                                                    const struct checkpoint *k, struct shard *s)
{
    assert(member < c->member_count && c->members[member].persists < PERSISTS_PER_AGENT);
    assert(k->used && (s == NULL || (s->used && !s->persist_ordered && !s->persisted)));
    uint32_t place = 0;
    while (place < c->persist_orders_high && c->persist_orders[place].order != 0) {
        place++;
    }
    assert(place < c->persist_orders_max);
    c->persist_orders_high += place == c->persist_orders_high;
    struct persist_order *order = &c->persist_orders[place];
    *order = (struct persist_order){.order = c->next_order++,
                                    .member = member,
                                    .checkpoint = checkpoint_index(c, k),
                                    .shard = s != NULL ? shard_index(c, s) : NONE,
                                    .ordered_ms = c->now_ms};
    c->members[member].persists++;
    c->persist_order_count++;
    if (s != NULL) {
        s->persist_ordered = true;
    }
    return order;
}

struct persist_order *coordinator_persist_order_find(struct coordinator *c, uint32_t member,
                                                     uint64_t order)
{
    for (uint32_t i = 0; order != 0 && i < c->persist_orders_high; i++) {
        if (c->persist_orders[i].order == order && c->persist_orders[i].member == member) {
            return &c->persist_orders[i];
        }
    }
    return NULL;
}

void coordinator_persist_order_drop(struct coordinator *c, struct persist_order *order)
{
    assert(order->order != 0);
    struct member *m = &c->members[order->member];
    assert(m->persists > 0 && c->persist_order_count > 0);
    m->persists--;
    c->persist_order_count--;
    if (order->shard != NONE) {
        c->shards[order->shard].persist_ordered = false;
    }
    memset(order, 0, sizeof *order);
}

void coordinator_persist_orders_drop_member(struct coordinator *c, uint32_t member)
{
    for (uint32_t i = 0; c->members[member].persists > 0 && i < c->persist_orders_high; i++) {
        struct persist_order *order = &c->persist_orders[i];
        if (order->order != 0 && order->member == member) {
            coordinator_persist_order_drop(c, order);
        }
    }
    assert(c->members[member].persists == 0);
}

void coordinator_persist_orders_drop_checkpoint(struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    for (uint32_t i = 0; c->persist_order_count > 0 && i < c->persist_orders_high; i++) {
        struct persist_order *order = &c->persist_orders[i];
        if (order->order != 0 && order->checkpoint == checkpoint_index(c, k)) {
            coordinator_persist_order_drop(c, order);
        }
    }
}

bool coordinator_persist_is_ordered(const struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    for (uint32_t i = 0; c->persist_order_count > 0 && i < c->persist_orders_high; i++) {
        const struct persist_order *order = &c->persist_orders[i];
        if (order->order != 0 && order->checkpoint == checkpoint_index(c, k)) {
            return true;
        }
    }
    return false;
}
