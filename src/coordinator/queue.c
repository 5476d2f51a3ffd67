/* SPDX-License-Identifier: Apache-2.0 */
/* Shards that need a decision, each of them once, and those that must wait. */
#include "coordinator/queue.h"

#include <assert.h>

void coordinator_queue_remove(struct coordinator *c, struct shard *s)
{
    assert(s->queued != s->parked);
    uint32_t *head = s->parked ? &c->parked : &c->queue_head;
    if (s->previous_in_queue == NONE) {
        *head = s->next_in_queue;
    } else {
        c->shards[s->previous_in_queue].next_in_queue = s->next_in_queue;
    }
    if (s->next_in_queue != NONE) {
        c->shards[s->next_in_queue].previous_in_queue = s->previous_in_queue;
    } else if (s->queued) {
        c->queue_tail = s->previous_in_queue;
    }
    s->queued = s->parked = false;
}

void coordinator_queue_push(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    if (s->queued) {
        return;
    }
    if (s->parked) {
        coordinator_queue_remove(c, s);
    }
    s->queued = true;
    s->next_in_queue = NONE;
    s->previous_in_queue = c->queue_tail;
    if (c->queue_tail == NONE) {
        c->queue_head = shard_index(c, s);
    } else {
        c->shards[c->queue_tail].next_in_queue = shard_index(c, s);
    }
    c->queue_tail = shard_index(c, s);
}

struct shard *coordinator_queue_pop(struct coordinator *c)
{
    if (c->queue_head == NONE) {
        return NULL;
    }
    struct shard *s = &c->shards[c->queue_head];
    assert(s->used && s->queued);
    coordinator_queue_remove(c, s);
    return s;
}

void coordinator_queue_park(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    if (s->queued || s->parked) {
        return;
    }
    s->parked = true;
    s->previous_in_queue = NONE;
    s->next_in_queue = c->parked;
    if (c->parked != NONE) {
        c->shards[c->parked].previous_in_queue = shard_index(c, s);
    }
    c->parked = shard_index(c, s);
}

void coordinator_queue_unpark(struct coordinator *c, uint32_t count)
{
    for (; count > 0 && c->parked != NONE; count--) {
        coordinator_queue_push(c, &c->shards[c->parked]);
    }
}

void coordinator_queue_unpark_all(struct coordinator *c)
{
    coordinator_queue_unpark(c, UINT32_MAX);
}
