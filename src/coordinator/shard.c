/* SPDX-License-Identifier: Apache-2.0 */
/* Copies: who holds which shard, and whether that is enough. */
#include "coordinator/drain.h"
#include "coordinator/state.h"

#include <assert.h>
#include <string.h>

#include "base/planted_bug.h"
#include "base/room.h"
#include "wire/inventory.h"

static uint32_t copy_number(const struct coordinator *c, const struct shard *s,
                            const struct copy *copy)
{
    return shard_index(c, s) * COORDINATOR_COPIES_MAX + (uint32_t)(copy - s->copies);
}

struct shard *copy_shard(struct coordinator *c, uint32_t number, struct copy **copy_out)
{
    struct shard *s = &c->shards[number / COORDINATOR_COPIES_MAX];
    *copy_out = &s->copies[number % COORDINATOR_COPIES_MAX];
    return s;
}

struct copy *copy_find(struct shard *s, uint32_t member)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member == member) {
            return &s->copies[i];
        }
    }
    return NULL;
}

/* A copy that stands for nothing but a bad memory of its member, or that is to be let go. If it is
 * not, its next report says so. */
static bool copy_is_husk(const struct copy *copy)
{
    return (copy->state == COPY_NONE && copy->order_kind == ORDER_NONE) ||
           copy->order_kind == ORDER_LET_GO;
}

struct copy *copy_add(struct coordinator *c, struct shard *s, uint32_t member)
{
    assert(copy_find(s, member) == NULL);
    struct copy *copy = copy_find(s, NONE);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX && copy == NULL; i++) {
        if (copy_is_husk(&s->copies[i])) {
            copy = &s->copies[i];
            copy_drop(c, s, copy);
        }
    }
    if (copy == NULL) {
        return NULL;
    }
    struct member *m = &c->members[member];
    *copy =
        (struct copy){.member = member, .next = m->first_copy, .previous = NONE, .source = NONE};
    if (m->first_copy != NONE) {
        struct copy *first;
        copy_shard(c, m->first_copy, &first);
        first->previous = copy_number(c, s, copy);
    }
    m->first_copy = copy_number(c, s, copy);
    return copy;
}

void copy_set_order(struct coordinator *c, struct copy *copy, enum order_kind kind)
{
    struct member *m = &c->members[copy->member];
    if (copy->order_kind == ORDER_PULL) {
        assert(m->pulls > 0);
        m->pulls--;
    }
    if (kind == ORDER_PULL) {
        m->pulls++;
    }
    assert(copy->order_kind == ORDER_NONE || m->orders > 0);
    m->orders -= copy->order_kind != ORDER_NONE;
    m->orders += kind != ORDER_NONE;
    copy->order_kind = (uint8_t)kind;
}

void copy_drop(struct coordinator *c, struct shard *s, struct copy *copy)
{
    struct member *m = &c->members[copy->member];
    uint32_t number = copy_number(c, s, copy);
    struct copy *other;

    copy_set_order(c, copy, ORDER_NONE);
    if (copy->state == COPY_VERIFIED) {
        assert(m->copies_verified > 0);
        m->copies_verified--;
    }
    if (copy->previous == NONE) {
        assert(m->first_copy == number);
        m->first_copy = copy->next;
    } else {
        copy_shard(c, copy->previous, &other);
        assert(other->next == number);
        other->next = copy->next;
    }
    if (copy->next != NONE) {
        copy_shard(c, copy->next, &other);
        other->previous = copy->previous;
    }
    m->inventory -= copy->weight;
    memset(copy, 0, sizeof *copy);
    copy->member = NONE;
}

/* Counts toward the commit rule, and may be read by others. */
bool copy_is_good(const struct shard *s, const struct copy *copy)
{
    return copy->member != NONE && copy->state == COPY_VERIFIED && !copy->cached && !copy->bad &&
           copy->order_kind != ORDER_LET_GO && s->has_digest &&
           memcmp(&copy->digest, &s->digest, sizeof s->digest) == 0;
}

/* Its copies, as the commit rule counts them: good ones in distinct domains; of what is not
 * consistent yet, apart from nodes that are to go. */
uint32_t shard_copies(const struct coordinator *c, const struct shard *s)
{
    uint32_t holders[COORDINATOR_COPIES_MAX];
    uint32_t count = 0;
    bool drain = checkpoint_is_open(&c->checkpoints[s->checkpoint]) && drain_applies(c, s);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (copy_is_good(s, &s->copies[i]) && !(drain && c->places[s->copies[i].member].last)) {
            holders[count++] = s->copies[i].member;
        }
    }
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    return placement_domains(&map, holders, count);
}

/* The commit rule of one shard: as many of them as the run asks for. */
bool shard_has_copies(const struct coordinator *c, const struct shard *s)
{
    uint32_t copies = shard_copies(c, s);
    if (PLANTED_BUG(ONE_DIGEST)) {
        return copies > 0;
    }
    return copies >= c->checkpoints[s->checkpoint].copies;
}

/* What its agent should say of it, as far as is known here. */
uint64_t copy_weight(const struct coordinator *c, const struct shard *s, const struct copy *copy)
{
    if (copy->state == COPY_NONE) {
        return 0;
    }
    uint64_t weight = inventory_copy(s->weight, copy->generation, (enum copy_state)copy->state,
                                     copy->owner, copy->cached, &copy->digest);
    bool is_consistent = c->checkpoints[s->checkpoint].state == CHECKPOINT_CONSISTENT;
    return is_consistent ? inventory_consistent(weight) : weight;
}

/* After whatever may have changed it. */
void copy_weigh(struct coordinator *c, const struct shard *s, struct copy *copy)
{
    uint64_t weight = copy_weight(c, s, copy);
    c->members[copy->member].inventory += weight - copy->weight;
    copy->weight = weight;
}

void checkpoint_weigh(struct coordinator *c, const struct checkpoint *k)
{
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        struct shard *s = &c->shards[i];
        for (uint32_t j = 0; j < COORDINATOR_COPIES_MAX; j++) {
            if (s->copies[j].member != NONE) {
                copy_weigh(c, s, &s->copies[j]);
            }
        }
    }
}

void shard_refresh(struct coordinator *c, struct shard *s)
{
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE) {
            copy_weigh(c, s, &s->copies[i]);
        }
    }
    bool ready = s->sealed && shard_has_copies(c, s);
    if (ready != s->ready) {
        checkpoint_touch(c, k);
        s->ready = ready;
        k->ready = ready ? k->ready + 1 : k->ready - 1;
        k->progress_ms = ready ? c->now_ms : k->progress_ms;
    }
}

static struct room_kind kind_of(const struct coordinator *c, uint32_t member)
{
    return (struct room_kind){.segment_bytes = c->members[member].segment_bytes,
                              .page_bytes = c->members[member].page_bytes};
}

/* The bytes that a copy takes on the member. */
uint64_t shard_room(const struct coordinator *c, const struct shard *s, uint32_t member)
{
    struct room_kind kind = kind_of(c, member);
    return room_of_shard(&kind, s->bytes);
}

struct placement_room shard_needs(const struct coordinator *c, const struct shard *s,
                                  uint32_t member)
{
    struct room_kind kind = kind_of(c, member);
    uint64_t segments = room_whole_segments(&kind, s->bytes);
    return (struct placement_room){.segments =
                                       segments > UINT32_MAX ? UINT32_MAX : (uint32_t)segments,
                                   .part_bytes = room_part_bytes(&kind, s->bytes)};
}

/* A copy is to be made there: what is known of the member's room until it says more itself. */
void shard_take_room(struct coordinator *c, const struct shard *s, uint32_t member)
{
    struct placement_member *place = &c->places[member];
    struct placement_room needs = shard_needs(c, s, member);
    struct placement_room part = {.segments = UINT32_MAX, .part_bytes = needs.part_bytes};
    if (placement_has_room(place, &part)) {
        place->part_bytes_free -= needs.part_bytes;
        return;
    }
    bool cuts = needs.part_bytes > 0 && place->segments_free > 0;
    place->segments_free -=
        needs.segments < place->segments_free ? needs.segments : place->segments_free;
    if (cuts) {
        uint64_t rest = c->members[member].segment_bytes - needs.part_bytes;
        place->part_bytes_free += rest;
        place->part_bytes_largest =
            rest > place->part_bytes_largest ? rest : place->part_bytes_largest;
    }
}
