/* SPDX-License-Identifier: Apache-2.0 */
/* Which copy is read from, and where the next one goes. */
#include "coordinator/place.h"

#include <assert.h>

#include "coordinator/copy.h"
#include "coordinator/drain_rule.h"
#include "coordinator/fit.h"
#include "coordinator/redundancy.h"
#include "coordinator/surplus.h"

struct source coordinator_shard_source(const struct coordinator *c, const struct shard *s,
                                       uint32_t not_member)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    const struct copy *best = NULL;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->member == NONE || copy->member == not_member || copy->bad || copy->cached) {
            continue;
        }
        bool sealed = checkpoint_is_open(k) && copy->owner &&
                      (copy->state == COPY_SEALED || copy->state == COPY_VERIFIED);
        if ((sealed || copy_is_good(s, copy)) &&
            (best == NULL || copy->source_failures < best->source_failures)) {
            best = copy;
        }
    }
    if (best == NULL) {
        return (struct source){.kind = SOURCE_NONE};
    }
    return (struct source){
        .kind = SOURCE_COPY, .member = best->member, .generation = best->generation};
}

struct copy *coordinator_source_copy(struct shard *s, const struct source *source)
{
    assert(s->used);
    return source->kind == SOURCE_COPY ? coordinator_copy_find(s, source->member) : NULL;
}

struct copy *coordinator_place_for(struct coordinator *c, struct shard *s, uint32_t member,
                                   const struct source *source, enum pull_purpose purpose)
{
    assert(s->used);
    assert(member < c->member_count);
    struct copy *copy = coordinator_copy_find(s, member);
    copy = copy != NULL ? copy : coordinator_copy_add(c, s, member);
    if (copy == NULL && purpose != PULL_REPLICATE) {
        struct copy *extra = coordinator_shard_surplus(c, s);
        if (extra != NULL && !source_is_at(source, extra->member)) {
            coordinator_copy_drop(c, s, extra);
            copy = coordinator_copy_add(c, s, member);
        }
    }
    return copy;
}

struct copy *coordinator_place_for_found(struct coordinator *c, struct shard *s, uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    struct copy *copy = coordinator_copy_add(c, s, member);
    struct copy *extra = NULL;
    if (copy != NULL || !coordinator_redundancy_gains(c, s, member)) {
        return copy;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *other = &s->copies[i];
        bool is_asked_for = s->load_state != LOAD_NONE && s->load_member == other->member;
        bool is_twin = copy_is_good(s, other) && other->order_kind == ORDER_NONE &&
                       !coordinator_shard_is_read_from(s, other->member) &&
                       !coordinator_redundancy_loses(c, s, other);
        bool is_repair = other->order_kind == ORDER_PULL && other->purpose == PULL_REPLICATE;
        if (!is_asked_for && (is_repair || (is_twin && extra == NULL))) {
            extra = other;
        }
    }
    if (extra != NULL) {
        coordinator_copy_drop(c, s, extra);
        copy = coordinator_copy_add(c, s, member);
    }
    return copy;
}

/* Where placement starts: the owner, or whoever holds a copy. */
static uint32_t origin_of(const struct shard *s, const struct holders *h)
{
    assert(h->taken_count + h->avoid_count <= COORDINATOR_COPIES_MAX);
    assert(s->used);
    uint32_t origin = h->taken_count > 0 ? h->taken[0] : h->avoid[0];
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE && s->copies[i].owner) {
            return s->copies[i].member;
        }
    }
    return origin;
}

static struct placement_map map_of(const struct coordinator *c, const struct shard *s)
{
    return (struct placement_map){.member_count = c->member_count,
                                  .members = c->places,
                                  .domain_count = c->domain_count,
                                  .domains = c->domains,
                                  .takes_last = c->drains > 0 && !coordinator_drain_applies(c, s)};
}

enum ckpt_status coordinator_place_choose_full(const struct coordinator *c, const struct shard *s,
                                               const struct holders *h, uint32_t *member_out)
{
    assert(h->taken_count + h->avoid_count <= COORDINATOR_COPIES_MAX);
    assert(s->used);
    struct placement_map map = map_of(c, s);
    struct placement_room none = {.segments = 0};
    return placement_choose(&map, origin_of(s, h), h->taken, h->taken_count, h->avoid,
                            h->avoid_count, &none, member_out);
}

enum ckpt_status coordinator_place_choose(const struct coordinator *c, const struct shard *s,
                                          const struct holders *h, uint32_t *member_out)
{
    assert(h->taken_count + h->avoid_count <= COORDINATOR_COPIES_MAX);
    assert(s->used);
    struct placement_map map = map_of(c, s);
    uint32_t origin = origin_of(s, h);
    struct placement_room needs = coordinator_shard_needs(c, s, origin);
    enum ckpt_status status = placement_choose(&map, origin, h->taken, h->taken_count, h->avoid,
                                               h->avoid_count, &needs, member_out);
    if (status == CKPT_ERR_FULL && h->avoid_count > 0) {
        status =
            placement_choose(&map, origin, h->taken, h->taken_count, NULL, 0, &needs, member_out);
    }
    return status;
}

bool coordinator_copy_may_leave(const struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    uint32_t member;
    if (copy->owner || !coordinator_copy_is_idle(c, s, copy) || coordinator_shard_is_pulled(s) ||
        !coordinator_redundancy_is_met(c, s) || coordinator_shard_leaving(c, s) != NULL) {
        return false;
    }
    copy->leaves = true;
    struct holders h = coordinator_shard_holders(c, s);
    bool may = coordinator_place_choose(c, s, &h, &member) == CKPT_OK &&
               coordinator_copy_find(s, member) == NULL;
    copy->leaves = false;
    return may;
}
