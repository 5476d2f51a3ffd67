/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/plan.h"

#include <assert.h>
#include <string.h>

void plan_make(struct fanout_plan *plan, uint64_t bytes, uint64_t piece_bytes,
               enum fanout_shape shape, const bool *holds, uint32_t ranks)
{
    assert(bytes > 0 && ranks <= CKPT_FANOUT_RANKS_MAX);
    assert(piece_bytes > 0 && piece_bytes % FANOUT_BLOCK_BYTES == 0);
    memset(plan, 0, sizeof(*plan));
    plan->bytes = bytes;
    plan->piece_bytes = piece_bytes;
    plan->shape = shape;
    for (uint32_t rank = 0; rank < ranks; rank++) {
        uint16_t *list = holds[rank] ? plan->senders : plan->receivers;
        uint32_t *count = holds[rank] ? &plan->sender_count : &plan->receiver_count;
        plan->holds[rank] = holds[rank];
        plan->place[rank] = (uint16_t)*count;
        list[(*count)++] = (uint16_t)rank;
    }
    assert(plan->sender_count > 0);
}

uint64_t plan_piece_count(const struct fanout_plan *plan)
{
    return (plan->bytes + plan->piece_bytes - 1) / plan->piece_bytes;
}

struct fanout_piece plan_piece(const struct fanout_plan *plan, uint64_t index)
{
    uint64_t offset = index * plan->piece_bytes;
    uint64_t left = plan->bytes - offset;
    assert(offset < plan->bytes);
    return (struct fanout_piece){
        .offset = offset,
        .bytes = left < plan->piece_bytes ? left : plan->piece_bytes,
        .sender = plan->senders[index % plan->sender_count],
    };
}

uint32_t plan_at_once(const struct fanout_plan *plan)
{
    return plan->sender_count;
}

/* The place in the ring at which a block comes in. */
static uint32_t entrance(const struct fanout_plan *plan, uint64_t block)
{
    if (plan->shape == FANOUT_RELAY) {
        return (uint32_t)(block % plan->receiver_count);
    }
    uint64_t piece = block * FANOUT_BLOCK_BYTES / plan->piece_bytes;
    uint64_t sender = piece % plan->sender_count;
    return (uint32_t)(sender * plan->receiver_count / plan->sender_count);
}

uint32_t plan_door(const struct fanout_plan *plan, uint64_t block, uint32_t door)
{
    if (plan->shape == FANOUT_STAR) {
        return door < plan->receiver_count ? plan->receivers[door] : FANOUT_NOBODY;
    }
    return door == 0 && plan->receiver_count > 0 ? plan->receivers[entrance(plan, block)]
                                                 : FANOUT_NOBODY;
}

uint32_t plan_next(const struct fanout_plan *plan, uint32_t rank, uint64_t block)
{
    assert(!plan->holds[rank]);
    uint32_t next = (plan->place[rank] + 1) % plan->receiver_count;
    return plan->shape == FANOUT_STAR || next == entrance(plan, block) ? FANOUT_NOBODY
                                                                       : plan->receivers[next];
}

bool plan_is_linked(const struct fanout_plan *plan, uint32_t from, uint32_t to)
{
    if (plan->holds[to] || from == to) {
        return false;
    }
    if (!plan->holds[from]) {
        return plan->shape != FANOUT_STAR &&
               (plan->place[from] + 1) % plan->receiver_count == plan->place[to];
    }
    if (plan->shape != FANOUT_CHAIN) {
        return true;
    }
    uint64_t of_sender = (uint64_t)plan->place[from] * plan->piece_bytes / FANOUT_BLOCK_BYTES;
    return plan->receivers[entrance(plan, of_sender)] == to;
}
