/* SPDX-License-Identifier: Apache-2.0 */
/* Which copy is read from, and where the next one goes. */
#include "coordinator/place.h"

#include "coordinator/copy.h"
#include "coordinator/drain_rule.h"
#include "coordinator/fit.h"
#include "coordinator/redundancy.h"

struct copy *shard_source(struct coordinator *c, struct shard *s, uint32_t not_member)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct copy *best = NULL;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
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
    return best;
}

struct copy *place_for(struct coordinator *c, struct shard *s, uint32_t member, uint32_t source,
                       enum pull_purpose purpose)
{
    struct copy *copy = copy_find(s, member);
    copy = copy != NULL ? copy : copy_add(c, s, member);
    if (copy == NULL && purpose != PULL_REPLICATE) {
        struct copy *extra = shard_surplus(c, s);
        if (extra != NULL && extra->member != source) {
            copy_drop(c, s, extra);
            copy = copy_add(c, s, member);
        }
    }
    return copy;
}

struct copy *place_for_found(struct coordinator *c, struct shard *s, uint32_t member)
{
    struct copy *copy = copy_add(c, s, member);
    uint32_t domains = shard_good_domains(c, s, NULL, NONE);
    struct copy *extra = NULL;
    if (copy != NULL || shard_good_domains(c, s, NULL, member) == domains) {
        return copy;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *other = &s->copies[i];
        bool is_asked_for = s->load_state != LOAD_NONE && s->load_member == other->member;
        bool is_twin = copy_is_good(s, other) && other->order_kind == ORDER_NONE &&
                       !shard_is_read_from(s, other->member) &&
                       shard_good_domains(c, s, other, NONE) == domains;
        bool is_repair = other->order_kind == ORDER_PULL && other->purpose == PULL_REPLICATE;
        if (!is_asked_for && (is_repair || (is_twin && extra == NULL))) {
            extra = other;
        }
    }
    if (extra != NULL) {
        copy_drop(c, s, extra);
        copy = copy_add(c, s, member);
    }
    return copy;
}

struct holders shard_holders(const struct coordinator *c, const struct shard *s)
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
            !copy->bad && !copy->cached && (copy->state == COPY_HELD || (open && copy->owner));
        bool waits = copy->state == COPY_VERIFIED && !s->has_digest && !copy->cached;
        if (!copy_leaves(c, s, copy) &&
            (copy_is_good(s, copy) || pulling || counts_soon || waits)) {
            h.taken[h.taken_count++] = copy->member;
        } else {
            h.avoid[h.avoid_count++] = copy->member;
        }
    }
    return h;
}

/* Where placement starts: the owner, or whoever holds a copy. */
static uint32_t origin_of(const struct shard *s, const struct holders *h)
{
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
                                  .takes_last = c->drains > 0 && !drain_applies(c, s)};
}

enum ckpt_status place_choose_full(const struct coordinator *c, const struct shard *s,
                                   const struct holders *h, uint32_t *member_out)
{
    struct placement_map map = map_of(c, s);
    struct placement_room none = {.segments = 0};
    return placement_choose(&map, origin_of(s, h), h->taken, h->taken_count, h->avoid,
                            h->avoid_count, &none, member_out);
}

enum ckpt_status place_choose(const struct coordinator *c, const struct shard *s,
                              const struct holders *h, uint32_t *member_out)
{
    struct placement_map map = map_of(c, s);
    uint32_t origin = origin_of(s, h);
    struct placement_room needs = shard_needs(c, s, origin);
    enum ckpt_status status = placement_choose(&map, origin, h->taken, h->taken_count, h->avoid,
                                               h->avoid_count, &needs, member_out);
    if (status == CKPT_ERR_FULL && h->avoid_count > 0) {
        status =
            placement_choose(&map, origin, h->taken, h->taken_count, NULL, 0, &needs, member_out);
    }
    return status;
}

bool copy_may_leave(const struct coordinator *c, struct shard *s, struct copy *copy)
{
    uint32_t member;
    if (copy->owner || !copy_is_idle(c, s, copy) || shard_is_pulled(s) || !shard_has_copies(c, s) ||
        shard_leaving(c, s) != NULL) {
        return false;
    }
    copy->leaves = true;
    struct holders h = shard_holders(c, s);
    bool may = place_choose(c, s, &h, &member) == CKPT_OK && copy_find(s, member) == NULL;
    copy->leaves = false;
    return may;
}
