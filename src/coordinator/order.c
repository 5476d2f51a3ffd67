/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to agents: pull a copy, digest one, let one go. An order is repeated, from the copy that
 * it is about, until a report says that it was carried out. */
#include "coordinator/order.h"

#include <assert.h>
#include <string.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/copy.h"
#include "coordinator/digest_key.h"
#include "coordinator/fit.h"
#include "coordinator/place.h"
#include "coordinator/queue.h"
#include "coordinator/table.h"
#include "coordinator/update.h"

static void fill_order(struct coordinator *c, const struct shard *s, const struct copy *copy,
                       struct message_pull_order *order)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    assert(copy->source.kind == SOURCE_COPY);
    const struct member *source = &c->members[copy->source.member];
    order->order = copy->order;
    coordinator_shard_key(c, s, &order->shard);
    order->world = k->world;
    order->copies = k->copies;
    order->bytes = s->bytes;
    order->purpose = (enum pull_purpose)copy->purpose;
    order->key = *coordinator_key_told(c, &c->runs[k->run]);
    strcpy(order->source_node, source->node);
    strcpy(order->source_address, source->address);
    order->source_incarnation = source->incarnation;
    order->source_generation = copy->source.generation;
}

static void say_let_go(struct coordinator *c, const struct shard *s, const struct copy *copy,
                       uint64_t generation)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    struct message *m =
        coordinator_update_message(c, c->members[copy->member].link, MESSAGE_LET_GO);
    m->let_go.order = copy->order;
    m->let_go.generation = generation;
    coordinator_shard_key(c, s, &m->let_go.shard);
}

/* A member in its grace after a disconnect gets its orders with the first heartbeat when it is
 * back. */
static void send_order(struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    const struct member *m = &c->members[copy->member];
    copy->ordered_ms = c->now_ms;
    if (!m->connected || !coordinator_update_has_room(c, 1)) {
        return;
    }
    if (copy->order_kind == ORDER_PULL) {
        fill_order(c, s, copy,
                   &coordinator_update_message(c, m->link, MESSAGE_PULL_ORDER)->pull_order);
        return;
    }
    if (copy->order_kind == ORDER_LET_GO) {
        say_let_go(c, s, copy, copy->generation);
        return;
    }
    struct message *message = coordinator_update_message(c, m->link, MESSAGE_VERIFY_ORDER);
    message->verify_order.order = copy->order;
    message->verify_order.generation = copy->generation;
    message->verify_order.key =
        *coordinator_key_told(c, &c->runs[c->checkpoints[s->checkpoint].run]);
    coordinator_shard_key(c, s, &message->verify_order.shard);
}

bool coordinator_order_is_stale(const struct coordinator *c, const struct copy *copy)
{
    assert(copy->member != NONE);
    return !PLANTED_BUG(ORDER_ONCE) && c->now_ms >= copy->ordered_ms + c->config.resend_ms;
}

bool coordinator_order_pull(struct coordinator *c, struct shard *s, uint32_t member,
                            struct source source, enum pull_purpose purpose)
{
    assert(s->used);
    assert(member < c->member_count);
    assert(source.kind != SOURCE_NONE);
    struct copy *copy = coordinator_place_for(c, s, member, &source, purpose);
    if (copy == NULL) {
        coordinator_queue_park(c, s);
        return false;
    }
    assert(copy->state != COPY_VERIFIED && !source_is_at(&source, copy->member));
    coordinator_copy_set_order(c, copy, ORDER_PULL);
    coordinator_copy_move(c, copy, COPY_NONE);
    copy->owner = false;
    copy->cached = purpose == PULL_FETCH;
    copy->bad = false;
    copy->has_digest = false;
    coordinator_copy_weigh(c, s, copy);
    copy->purpose = (uint8_t)purpose;
    copy->order = c->next_order++;
    copy->source = source;
    coordinator_shard_take_room(c, s, member);
    send_order(c, s, copy);
    return true;
}

void coordinator_order_verify(struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    assert(copy->order_kind != ORDER_PULL);
    coordinator_copy_set_order(c, copy, ORDER_VERIFY);
    copy->order = c->next_order++;
    send_order(c, s, copy);
}

void coordinator_order_renew(struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    assert(copy->order_kind != ORDER_NONE);
    copy->order = c->next_order++;
    send_order(c, s, copy);
}

void coordinator_order_resend(struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    if (copy->order_kind == ORDER_PULL) {
        const struct copy *read = coordinator_source_copy(s, &copy->source);
        if (read == NULL || read->generation != copy->source.generation || read->bad) {
            struct source source = coordinator_shard_source(c, s, copy->member);
            if (source.kind == SOURCE_NONE) {
                coordinator_copy_drop(c, s, copy);
                coordinator_queue_push(c, s);
                return;
            }
            copy->order = c->next_order++;
            copy->source = source;
        }
    }
    send_order(c, s, copy);
}

static bool understands_room(const struct coordinator *c, const struct copy *copy)
{
    assert(copy->member != NONE);
    return (c->members[copy->member].features & WIRE_FEATURE_ROOM) != 0;
}

void coordinator_order_let_go(struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    assert(copy_is_good(s, copy) && copy->order_kind == ORDER_NONE);
    if (understands_room(c, copy)) {
        coordinator_copy_set_order(c, copy, ORDER_LET_GO);
        copy->order = c->next_order++;
        send_order(c, s, copy);
        return;
    }
    const struct member *m = &c->members[copy->member];
    if (m->connected) {
        struct message *ack = coordinator_update_message(c, m->link, MESSAGE_SHARD_ACK);
        coordinator_shard_key(c, s, &ack->shard_ack.shard);
        ack->shard_ack.generation = copy->generation;
        ack->shard_ack.state = COPY_VERIFIED;
        ack->shard_ack.checkpoint = (enum checkpoint_state)c->checkpoints[s->checkpoint].state;
        ack->shard_ack.status = CKPT_ERR_RETIRED;
        reason_set(ack->shard_ack.reason, "one copy more than was asked for");
    }
    coordinator_copy_drop(c, s, copy);
}

void coordinator_order_stay(struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    assert(copy->order_kind == ORDER_LET_GO && copy->state == COPY_VERIFIED);
    coordinator_copy_move(c, copy, COPY_ADOPTED);
    copy->has_digest = false;
    copy->called_back = true;
    coordinator_copy_weigh(c, s, copy);
    coordinator_order_verify(c, s, copy);
}

void coordinator_order_call_off(struct coordinator *c, struct shard *s, struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    assert(copy->order_kind == ORDER_PULL);
    if (c->members[copy->member].connected && understands_room(c, copy) &&
        coordinator_update_has_room(c, 1)) {
        say_let_go(c, s, copy, 0);
    }
    coordinator_copy_drop(c, s, copy);
}
