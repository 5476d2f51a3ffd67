/* SPDX-License-Identifier: Apache-2.0 */
/* Copies: who holds which shard. */
#include "coordinator/copy.h"

#include <assert.h>
#include <string.h>

#include "wire/inventory.h"

static uint32_t copy_number(const struct coordinator *c, const struct shard *s,
                            const struct copy *copy)
{
    assert(s->used);
    return shard_index(c, s) * COORDINATOR_COPIES_MAX + (uint32_t)(copy - s->copies);
}

struct shard *coordinator_copy_shard(struct coordinator *c, uint32_t number, struct copy **copy_out)
{
    struct shard *s = &c->shards[number / COORDINATOR_COPIES_MAX];
    *copy_out = &s->copies[number % COORDINATOR_COPIES_MAX];
    return s;
}

struct copy *coordinator_copy_find(struct shard *s, uint32_t member)
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

struct copy *coordinator_copy_add(struct coordinator *c, struct shard *s, uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    assert(coordinator_copy_find(s, member) == NULL);
    struct copy *copy = coordinator_copy_find(s, NONE);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX && copy == NULL; i++) {
        if (copy_is_husk(&s->copies[i])) {
            copy = &s->copies[i];
            coordinator_copy_drop(c, s, copy);
        }
    }
    if (copy == NULL) {
        return NULL;
    }
    struct member *m = &c->members[member];
    *copy = (struct copy){.member = member, .next = m->first_copy, .previous = NONE};
    if (m->first_copy != NONE) {
        struct copy *first;
        coordinator_copy_shard(c, m->first_copy, &first);
        first->previous = copy_number(c, s, copy);
    }
    m->first_copy = copy_number(c, s, copy);
    return copy;
}

/*   NONE ---> SEALED, its rank's ---.
 *    |  '---> HELD, found ----------+--> VERIFIED --called back--> HELD
 *    '------- pulled ---------------'
 *
 * Any of them -> NONE: it is gone, differs, or is to be pulled anew. What is not verified is what
 * its agent says last. */
static const unsigned moves[] = {
    [COPY_NONE] = TO(COPY_NONE) | TO(COPY_SEALED) | TO(COPY_ADOPTED) | TO(COPY_VERIFIED),
    [COPY_SEALED] = TO(COPY_NONE) | TO(COPY_SEALED) | TO(COPY_ADOPTED) | TO(COPY_VERIFIED),
    [COPY_ADOPTED] = TO(COPY_NONE) | TO(COPY_SEALED) | TO(COPY_ADOPTED) | TO(COPY_VERIFIED),
    [COPY_VERIFIED] = TO(COPY_NONE) | TO(COPY_ADOPTED),
};

void coordinator_copy_move(struct coordinator *c, struct copy *copy, enum copy_state to)
{
    assert(copy->member != NONE);
    struct member *m = &c->members[copy->member];
    assert(MAY_MOVE(moves, copy->state, to));
    assert(copy->state != COPY_VERIFIED || m->copies_verified > 0);
    m->copies_verified -= copy->state == COPY_VERIFIED;
    m->copies_verified += to == COPY_VERIFIED;
    copy->state = (uint8_t)to;
}

void coordinator_copy_set_order(struct coordinator *c, struct copy *copy, enum order_kind kind)
{
    assert(copy->member != NONE);
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
    assert(kind <= ORDER_LET_GO);
    copy->order_kind = kind & 3U;
}

void coordinator_copy_drop(struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    struct member *m = &c->members[copy->member];
    uint32_t number = copy_number(c, s, copy);
    struct copy *other;

    coordinator_copy_set_order(c, copy, ORDER_NONE);
    coordinator_copy_move(c, copy, COPY_NONE);
    if (copy->previous == NONE) {
        assert(m->first_copy == number);
        m->first_copy = copy->next;
    } else {
        coordinator_copy_shard(c, copy->previous, &other);
        assert(other->next == number);
        other->next = copy->next;
    }
    if (copy->next != NONE) {
        coordinator_copy_shard(c, copy->next, &other);
        other->previous = copy->previous;
    }
    m->inventory -= copy->weight;
    memset(copy, 0, sizeof *copy);
    copy->member = NONE;
}

uint64_t coordinator_copy_weight(const struct coordinator *c, const struct shard *s,
                                 const struct copy *copy)
{
    if (copy->state == COPY_NONE) {
        return 0;
    }
    uint64_t weight = inventory_copy(s->weight, copy->generation, (enum copy_state)copy->state,
                                     copy->owner, copy->cached, &copy->digest);
    bool is_consistent = c->checkpoints[s->checkpoint].state == CHECKPOINT_CONSISTENT;
    return is_consistent ? inventory_consistent(weight) : weight;
}

void coordinator_copy_weigh(struct coordinator *c, const struct shard *s, struct copy *copy)
{
    uint64_t weight = coordinator_copy_weight(c, s, copy);
    c->members[copy->member].inventory += weight - copy->weight;
    copy->weight = weight;
}

void coordinator_shard_weigh(struct coordinator *c, struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE) {
            coordinator_copy_weigh(c, s, &s->copies[i]);
        }
    }
}

void coordinator_checkpoint_weigh(struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        coordinator_shard_weigh(c, &c->shards[i]);
    }
}
