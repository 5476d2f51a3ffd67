/* SPDX-License-Identifier: Apache-2.0 */
/* Where the copies of what was committed belong: the names of their nodes, on record with the
 * commit. So that a copy that nobody has reported is known to be away, and where; also by a
 * coordinator that has just started, and when every holder is gone.
 *
 * A name is kept as long as a shard refers to it, whether its node is a member now or not. */
#include "coordinator/home.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"
#include "coordinator/table.h"

uint32_t coordinator_home_find(const struct coordinator *c, const char *node)
{
    uint32_t i = c->home_buckets[coordinator_name_hash(0, node) & c->link_mask];
    while (i != NONE && strcmp(c->homes[i].node, node) != 0) {
        i = c->homes[i].next;
    }
    return i;
}

/* NONE: the table is full, and where that copy belongs is not known. */
static uint32_t home_hold(struct coordinator *c, const char *node, uint32_t member)
{
    uint32_t index = coordinator_home_find(c, node);
    if (index != NONE) {
        c->homes[index].shards++;
        c->homes[index].member = member != NONE ? member : c->homes[index].member;
        return index;
    }
    index = c->first_free_home;
    if (index == NONE) {
        return NONE;
    }
    struct home *home = &c->homes[index];
    uint32_t *bucket = &c->home_buckets[coordinator_name_hash(0, node) & c->link_mask];
    c->first_free_home = home->next;
    *home = (struct home){.shards = 1,
                          .member = member,
                          .away_since_ms = c->now_ms,
                          .seen = member != NONE,
                          .next = *bucket};
    strcpy(home->node, node);
    *bucket = index;
    return index;
}

static void home_release(struct coordinator *c, uint32_t index)
{
    struct home *home = &c->homes[index];
    assert(home->shards > 0);
    if (--home->shards > 0) {
        return;
    }
    uint32_t *at = &c->home_buckets[coordinator_name_hash(0, home->node) & c->link_mask];
    while (*at != index) {
        assert(*at != NONE);
        at = &c->homes[*at].next;
    }
    *at = home->next;
    home->next = c->first_free_home;
    c->first_free_home = index;
}

void coordinator_homes_init(struct coordinator *c)
{
    memset(c->home_buckets, 0xff, (c->link_mask + 1) * sizeof(uint32_t));
    uint32_t count = HOMES_PER_AGENT * c->config.agents_max;
    for (uint32_t i = 0; i < count; i++) {
        c->homes[i].next = i + 1 < count ? i + 1 : NONE;
    }
    c->first_free_home = 0;
}

void coordinator_homes_member_joined(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    uint32_t index = coordinator_home_find(c, c->members[member].node);
    if (index != NONE) {
        c->homes[index].member = member;
        c->homes[index].seen = true;
    }
}

void coordinator_homes_member_lost(struct coordinator *c, uint32_t member)
{
    assert(member < c->member_count);
    uint32_t index = coordinator_home_find(c, c->members[member].node);
    if (index != NONE) {
        c->homes[index].member = NONE;
        c->homes[index].away_since_ms = c->now_ms;
    }
}

bool coordinator_node_is_home(const struct coordinator *c, const char *node)
{
    return coordinator_home_find(c, node) != NONE;
}

void coordinator_shard_release_homes(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (s->homes[i] != NONE) {
            home_release(c, s->homes[i]);
            s->homes[i] = NONE;
        }
    }
}

void coordinator_shard_drop_home(struct coordinator *c, struct shard *s, uint32_t home)
{
    assert(s->used);
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (s->homes[i] == home) {
            home_release(c, home);
            s->homes[i] = NONE;
        }
    }
}

void coordinator_shard_set_homes(struct coordinator *c, struct shard *s,
                                 const char nodes[][CKPT_NODE_NAME_MAX + 1], uint32_t count)
{
    assert(s->used);
    coordinator_shard_release_homes(c, s);
    for (uint32_t i = 0; i < count && i < CKPT_COPIES_MAX; i++) {
        s->homes[i] = home_hold(c, nodes[i], NONE);
    }
}

void coordinator_shard_set_homes_as_held(struct coordinator *c, struct shard *s,
                                         const struct copy *without)
{
    assert(s->used);
    uint32_t count = 0;
    coordinator_shard_release_homes(c, s);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX && count < CKPT_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy != without && copy_is_good(s, copy)) {
            s->homes[count++] = home_hold(c, c->members[copy->member].node, copy->member);
        }
    }
}

bool coordinator_shard_is_home(const struct coordinator *c, const struct shard *s, uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (s->homes[i] != NONE && c->homes[s->homes[i]].member == member) {
            return true;
        }
    }
    return false;
}

bool coordinator_shard_has_homes(const struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (s->homes[i] != NONE) {
            return true;
        }
    }
    return false;
}

bool coordinator_home_is_heard(const struct coordinator *c, const struct home *home)
{
    assert(home->shards > 0);
    if (PLANTED_BUG(GOODBYE_IS_FOR_EVER) && home->seen && home->member == NONE) {
        const struct member *m = coordinator_member_by_name((struct coordinator *)c, home->node);
        return m == NULL || m->stopped;
    }
    return home->member != NONE && c->members[home->member].inventory_told;
}
