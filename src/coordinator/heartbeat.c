/* SPDX-License-Identifier: Apache-2.0 */
/* What a heartbeat brings: life, room, and orders that were never answered. */
#include "coordinator/heartbeat.h"

#include <assert.h>

#include "coordinator/copy.h"
#include "coordinator/order.h"
#include "coordinator/queue.h"
#include "coordinator/trouble.h"
#include "coordinator/update.h"

/* Who is settled, and has nothing new to hear, is answered once a lease, for it waits two leases
 * before it calls us silent: the answer is half of what a heartbeat costs. */
static void answer_heartbeat(struct coordinator *c, struct member *m,
                             const struct message_heartbeat *heartbeat)
{
    assert(m->connected);
    assert(m->state != MEMBER_FREE);
    bool settled = heartbeat->has_inventory && heartbeat->inventory == m->inventory;
    uint64_t due_ms = m->leased_ms + c->config.lease_ms - c->config.heartbeat_ms / 2;
    if (settled && m->settled && c->now_ms < due_ms) {
        return;
    }
    coordinator_update_message(c, m->link, MESSAGE_LEASE)->lease.settled = settled;
    m->settled = settled;
    m->leased_ms = c->now_ms;
}

void coordinator_on_heartbeat(struct coordinator *c, struct member *m,
                              const struct message_heartbeat *heartbeat)
{
    assert(m->state != MEMBER_FREE);
    uint32_t index = (uint32_t)(m - c->members);
    struct placement_member *place = &c->places[index];
    uint64_t most = m->segments * m->segment_bytes;
    if (heartbeat->segments_free <= m->segments && heartbeat->part_bytes_free <= most) {
        uint32_t segments = heartbeat->segments_free > place->segments_free
                                ? heartbeat->segments_free - place->segments_free
                                : 0;
        uint64_t parts = heartbeat->part_bytes_free > place->part_bytes_free && m->page_bytes > 0
                             ? (heartbeat->part_bytes_free - place->part_bytes_free) / m->page_bytes
                             : 0;
        if (segments + parts > 0) {
            coordinator_queue_unpark(c, parts > UINT32_MAX - segments ? UINT32_MAX
                                                                      : segments + (uint32_t)parts);
        }
        place->segments_free = heartbeat->segments_free;
        place->part_bytes_free = heartbeat->part_bytes_free;
        place->part_bytes_largest = heartbeat->part_bytes_largest;
    }
    m->has_bytes = heartbeat->has_bytes;
    m->bytes_taken = heartbeat->bytes_taken;
    m->rails = heartbeat->rails;
    m->rails_up = heartbeat->rails_up;
    m->bytes_held = heartbeat->bytes_held;
    if (heartbeat->inventory_told && !m->inventory_told) {
        m->inventory_told = true;
        coordinator_queue_unpark_all(c); /* what it did not tell of is gone, and may be repaired */
    }
    answer_heartbeat(c, m, heartbeat);
    coordinator_trouble_of_agent(c, m, heartbeat);
    uint32_t orders = m->orders;
    for (uint32_t i = m->first_copy;
         orders > 0 && i != NONE && coordinator_update_has_room(c, 1);) {
        struct copy *copy;
        struct shard *s = coordinator_copy_shard(c, i, &copy);
        i = copy->next;
        orders -= copy->order_kind != ORDER_NONE;
        if (copy->order_kind != ORDER_NONE && coordinator_order_is_stale(c, copy)) {
            coordinator_order_resend(c, s, copy);
        }
    }
}
