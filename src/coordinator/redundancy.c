/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a shard has its copies, and what it needs next: the one place that decides either.
 *
 * Copies count by the failure domains that they are in. Of what is not consistent yet, those on
 * nodes that are to go do not count; of what is, they count, and are let go when enough others
 * do. */
#include "coordinator/redundancy.h"

#include <assert.h>

#include "base/planted_bug.h"
#include "coordinator/copy.h"
#include "coordinator/drain_rule.h"
#include "coordinator/table.h"

/* Which of the good copies are counted; zero: all. */
struct choice {
    bool stays;               /* only those that are not to be let go */
    bool keeps;               /* only those on nodes that do not drain */
    const struct copy *spare; /* not this one */
    uint32_t without;         /* not on this member, if it is not NONE */
    uint32_t with;            /* one more there, if it is not NONE */
};

static const struct choice all = {.without = NONE, .with = NONE};

static uint32_t wanted(const struct coordinator *c, const struct shard *s)
{
    return c->checkpoints[s->checkpoint].copies;
}

static uint32_t domains_of(const struct coordinator *c, const uint32_t *members, uint32_t count)
{
    const struct placement_map map = {.member_count = c->member_count, .members = c->places};
    return placement_domains(&map, members, count);
}

/* The domains of those that are chosen. */
static uint32_t count(const struct coordinator *c, const struct shard *s,
                      const struct choice *choice)
{
    uint32_t members[COORDINATOR_COPIES_MAX + 1];
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy_is_good(s, copy) && copy != choice->spare && copy->member != choice->without &&
            !(choice->keeps && c->places[copy->member].last) &&
            !(choice->stays && coordinator_copy_leaves(c, s, copy))) {
            members[chosen++] = copy->member;
        }
    }
    if (choice->with != NONE) {
        members[chosen++] = choice->with;
    }
    return domains_of(c, members, chosen);
}

uint32_t coordinator_redundancy(const struct coordinator *c, const struct shard *s)
{
    struct choice choice = all;
    choice.keeps =
        checkpoint_is_open(&c->checkpoints[s->checkpoint]) && coordinator_drain_applies(c, s);
    return count(c, s, &choice);
}

bool coordinator_redundancy_is_met(const struct coordinator *c, const struct shard *s)
{
    uint32_t copies = coordinator_redundancy(c, s);
    return PLANTED_BUG(ONE_DIGEST) ? copies > 0 : copies >= wanted(c, s);
}

bool coordinator_redundancy_is_met_without(const struct coordinator *c, const struct shard *s,
                                           uint32_t member)
{
    assert(s->used);
    struct choice choice = all;
    choice.keeps = true;
    choice.without = member;
    return PLANTED_BUG(SAFE_TOO_EARLY) || count(c, s, &choice) >= wanted(c, s);
}

/* Of those that are to stay. */
static bool is_met_by_staying(const struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    struct choice choice = all;
    choice.stays = true;
    return count(c, s, &choice) >= wanted(c, s);
}

static bool some_leave(const struct coordinator *c, const struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (copy_is_good(s, &s->copies[i]) && coordinator_copy_leaves(c, s, &s->copies[i])) {
            return true;
        }
    }
    return false;
}

struct holders coordinator_shard_holders(const struct coordinator *c, const struct shard *s)
{
    struct holders h = {.taken_count = 0};
    bool open = checkpoint_is_open(&c->checkpoints[s->checkpoint]);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->member == NONE) {
            continue;
        }
        bool pulling = copy->order_kind == ORDER_PULL && !copy->cached;
        bool counts_soon =
            !copy->bad && !copy->cached && (copy->state == COPY_ADOPTED || (open && copy->owner));
        bool waits = copy->state == COPY_VERIFIED && !s->has_digest && !copy->cached;
        if (!coordinator_copy_leaves(c, s, copy) &&
            (copy_is_good(s, copy) || pulling || counts_soon || waits)) {
            h.taken[h.taken_count++] = copy->member;
        } else {
            h.avoid[h.avoid_count++] = copy->member;
        }
    }
    return h;
}

enum redundancy coordinator_redundancy_next(const struct coordinator *c, const struct shard *s,
                                            struct holders *holders_out)
{
    assert(s->used && wanted(c, s) > 0);
    *holders_out = coordinator_shard_holders(c, s);
    if (checkpoint_is_committed(&c->checkpoints[s->checkpoint]) &&
        coordinator_redundancy_is_met(c, s) && (!some_leave(c, s) || is_met_by_staying(c, s))) {
        return REDUNDANCY_MET;
    }
    return domains_of(c, holders_out->taken, holders_out->taken_count) < wanted(c, s)
               ? REDUNDANCY_SHORT
               : REDUNDANCY_COMING;
}

bool coordinator_redundancy_gains(const struct coordinator *c, const struct shard *s,
                                  uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    struct choice choice = all;
    choice.with = member;
    return count(c, s, &choice) > count(c, s, &all);
}

bool coordinator_redundancy_loses(const struct coordinator *c, const struct shard *s,
                                  const struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    struct choice choice = all;
    choice.spare = copy;
    return count(c, s, &choice) < count(c, s, &all);
}

/* How many are kept when there are too many. */
static uint32_t kept(const struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    uint32_t copies = wanted(c, s);
    return copies - (PLANTED_BUG(TRIM_TOO_FAR) && copies > 1);
}

bool coordinator_redundancy_is_exceeded(const struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    uint32_t copies = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        copies += copy_is_good(s, &s->copies[i]);
    }
    return copies > kept(c, s);
}

/* As many as are kept, or as there are, are left without the spare one. */
static bool is_spared(const struct coordinator *c, const struct shard *s, struct choice choice)
{
    assert(s->used);
    uint32_t left = count(c, s, &choice);
    choice.spare = NULL;
    return left >= kept(c, s) || left >= count(c, s, &choice);
}

bool coordinator_redundancy_spares(const struct coordinator *c, const struct shard *s,
                                   const struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    struct choice choice = all;
    choice.spare = copy;
    if (!is_spared(c, s, choice)) {
        return false;
    }
    choice.stays = true;
    return !some_leave(c, s) || coordinator_copy_leaves(c, s, copy) || is_spared(c, s, choice);
}

void coordinator_shard_refresh(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    coordinator_shard_weigh(c, s);
    bool ready = s->sealed && coordinator_redundancy_is_met(c, s);
    if (ready != s->ready) {
        coordinator_checkpoint_touch(c, k);
        s->ready = ready;
        k->ready = ready ? k->ready + 1 : k->ready - 1;
        k->progress_ms = ready ? c->now_ms : k->progress_ms;
    }
}
