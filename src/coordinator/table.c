/* SPDX-License-Identifier: Apache-2.0 */
/* What the tables share: places in them, and finding by name or number. */
#include "coordinator/table.h"

#include <assert.h>
#include <string.h>

uint32_t coordinator_name_hash(uint32_t start, const char *name)
{
    uint32_t hash = 2166136261u ^ start;
    for (const char *p = name; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    }
    return hash;
}

uint32_t coordinator_table_take(struct index_set *free_places, uint32_t *high, uint32_t max)
{
    uint32_t place = index_set_from(free_places, 0);
    if (place != NONE) {
        index_set_remove(free_places, place);
        return place;
    }
    return *high < max ? (*high)++ : NONE;
}

void coordinator_shard_key(const struct coordinator *c, const struct shard *s,
                           struct shard_key *key_out)
{
    assert(s->used);
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    key_out->run = c->runs[k->run].key;
    key_out->attempt = k->attempt;
    key_out->step = k->step;
    key_out->rank = s->rank;
}

struct member *coordinator_member_by_name(struct coordinator *c, const char *node)
{
    uint32_t i = c->node_buckets[coordinator_name_hash(0, node) & c->link_mask];
    for (; i != NONE; i = c->members[i].next_in_name_bucket) {
        if (strcmp(c->members[i].node, node) == 0) {
            return &c->members[i];
        }
    }
    return NULL;
}

struct member *coordinator_member_by_link(struct coordinator *c, uint32_t link)
{
    uint32_t i = c->link_buckets[(link * 2654435761u) & c->link_mask];
    for (; i != NONE; i = c->members[i].next_in_bucket) {
        if (c->members[i].link == link) {
            return &c->members[i];
        }
    }
    return NULL;
}

void coordinator_checkpoint_touch(struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    uint32_t place = checkpoint_index(c, k);
    uint32_t count = c->touched_count;
    if (count < TOUCHED_MAX && (count == 0 || c->touched[count - 1] != place)) {
        c->touched[c->touched_count++] = place;
    }
}
