/* SPDX-License-Identifier: Apache-2.0 */
/* The table of shards: finding, adding, removing. */
#include "coordinator/shard.h"

#include <assert.h>
#include <string.h>

#include "coordinator/copy.h"
#include "coordinator/home.h"
#include "coordinator/queue.h"
#include "coordinator/table.h"
#include "wire/inventory.h"

/* The ranks of a checkpoint lie side by side: they do not collide with each other, and sixteen
 * share a cache line. Where a checkpoint begins is spread by Knuth's multiplicative hash. */
static uint32_t shard_hash(uint32_t checkpoint, uint32_t rank)
{
    return checkpoint * 2654435761u + rank;
}

/* A shard is a dozen cache lines, and in a large cluster none of them is in a cache: asked for
 * together they come in the time of one. */
static void shard_fetch_ahead(const struct shard *s)
{
    for (size_t at = 0; at < sizeof *s; at += 64) {
        __builtin_prefetch((const char *)s + at, 1);
    }
}

struct shard *coordinator_shard_find(const struct coordinator *c, const struct checkpoint *k,
                                     uint32_t rank)
{
    uint32_t checkpoint = checkpoint_index(c, k);
    uint32_t i = c->shard_buckets[shard_hash(checkpoint, rank) & c->shard_mask];
    for (; i != NONE; i = c->shards[i].next_in_bucket) {
        shard_fetch_ahead(&c->shards[i]);
        if (c->shards[i].checkpoint == checkpoint && c->shards[i].rank == rank) {
            return &c->shards[i];
        }
    }
    return NULL;
}

struct shard *coordinator_shard_add(struct coordinator *c, struct checkpoint *k, uint32_t rank)
{
    assert(k->used);
    assert(coordinator_shard_find(c, k, rank) == NULL);
    if (c->free_shards == 0) {
        return NULL;
    }
    uint32_t checkpoint = checkpoint_index(c, k);
    struct shard *s = &c->shards[c->shards_high];
    if (c->first_free_shard != NONE) {
        s = &c->shards[c->first_free_shard];
        c->first_free_shard = s->next_in_bucket;
    } else {
        c->shards_high++;
    }
    c->free_shards--;
    coordinator_checkpoint_touch(c, k);
    uint32_t *bucket = &c->shard_buckets[shard_hash(checkpoint, rank) & c->shard_mask];
    memset(s, 0, sizeof *s);
    s->used = true;
    s->checkpoint = checkpoint;
    s->rank = rank;
    s->next_in_bucket = *bucket;
    s->next_in_checkpoint = k->first_shard;
    s->next_in_queue = NONE;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        s->copies[i].member = NONE;
    }
    struct shard_key key;
    coordinator_shard_key(c, s, &key);
    s->weight = inventory_shard(&key);
    memset(s->homes, 0xff, sizeof s->homes);
    *bucket = shard_index(c, s);
    k->first_shard = shard_index(c, s);
    k->shards++;
    if (k->reserved > 0) {
        k->reserved--;
        c->reserved_shards--;
    }
    return s;
}

static void shard_free(struct coordinator *c, struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE) {
            coordinator_copy_drop(c, s, &s->copies[i]);
        }
    }
    coordinator_shard_release_homes(c, s);
    if (s->queued || s->parked) {
        coordinator_queue_remove(c, s);
    }
    uint32_t *link = &c->shard_buckets[shard_hash(s->checkpoint, s->rank) & c->shard_mask];
    while (*link != shard_index(c, s)) {
        assert(*link != NONE);
        link = &c->shards[*link].next_in_bucket;
    }
    *link = s->next_in_bucket;
    s->used = false;
    s->next_in_bucket = c->first_free_shard;
    c->first_free_shard = shard_index(c, s);
    assert(c->free_shards < c->config.shards_max);
    c->free_shards++;
}

void coordinator_checkpoint_free_shards(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    while (k->first_shard != NONE) {
        struct shard *s = &c->shards[k->first_shard];
        k->first_shard = s->next_in_checkpoint;
        if (k->first_shard != NONE) {
            shard_fetch_ahead(&c->shards[k->first_shard]);
        }
        shard_free(c, s);
    }
    k->shards = k->sealed = k->ready = 0;
    assert(c->reserved_shards >= k->reserved);
    c->reserved_shards -= k->reserved;
    k->reserved = 0;
}
