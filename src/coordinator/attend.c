/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard needs next: more copies, a digest, or nothing.
 *
 * A shard comes here whenever something about it changed. It is looked at as it is now, so it does
 * not matter what changed or how often. What can't be had now (no domain, no room, a holder that
 * just failed) parks it until the next round. */
#include "coordinator/state.h"

#include <assert.h>
#include <string.h>

static void fill_order(struct coordinator *c, const struct shard *s, const struct copy *copy,
                       struct message_pull_order *order)
{
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    const struct member *source = &c->members[copy->source];
    order->order = copy->order;
    shard_key_of(c, s, &order->shard);
    order->world = k->world;
    order->copies = k->copies;
    order->bytes = s->bytes;
    order->purpose = (enum pull_purpose)copy->purpose;
    strcpy(order->source_node, source->node);
    strcpy(order->source_address, source->address);
    order->source_incarnation = source->incarnation;
    order->source_generation = copy->source_generation;
}

/* A member in its grace after a disconnect gets its orders with the heartbeat after it came back.
 */
static void send_order(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                       struct copy *copy)
{
    const struct member *m = &c->members[copy->member];
    copy->ordered_ms = c->now_ms;
    if (!m->connected || !update_has_room(u, 1)) {
        return;
    }
    if (copy->order_kind == ORDER_PULL) {
        fill_order(c, s, copy, &update_message(c, u, m->link, MESSAGE_PULL_ORDER)->pull_order);
        return;
    }
    struct message *message = update_message(c, u, m->link, MESSAGE_VERIFY_ORDER);
    message->verify_order.order = copy->order;
    message->verify_order.generation = copy->generation;
    shard_key_of(c, s, &message->verify_order.shard);
}

bool order_is_stale(const struct coordinator *c, const struct copy *copy)
{
    return c->now_ms >= copy->ordered_ms + c->config.resend_ms;
}

/* The copy to read from: a good one, or the owner's sealed one; the one that failed least often. */
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

/* Domains of the good copies, without that of `without` (or NULL), with member (or NONE). */
static uint32_t good_domains(const struct coordinator *c, const struct shard *s,
                             const struct copy *without, uint32_t member)
{
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    uint32_t holders[COORDINATOR_COPIES_MAX + 1];
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (&s->copies[i] != without && copy_is_good(s, &s->copies[i])) {
            holders[count++] = s->copies[i].member;
        }
    }
    if (member != NONE) {
        holders[count++] = member;
    }
    return placement_domains(&map, holders, count);
}

/* A good copy that the commit rule can do without: earlier restores leave such behind. */
static struct copy *surplus(const struct coordinator *c, struct shard *s, uint32_t source)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        bool is_loaded = s->load_state != LOAD_NONE && s->load_member == copy->member;
        if (copy_is_good(s, copy) && copy->order_kind == ORDER_NONE && copy->member != source &&
            !is_loaded && good_domains(c, s, copy, NONE) >= c->checkpoints[s->checkpoint].copies) {
            return copy;
        }
    }
    return NULL;
}

/* The place of a copy that is to be made. A reader's or a restoring rank's takes that of a copy too
 * many, whose agent is told to free it at its next report. */
static struct copy *place_for(struct coordinator *c, struct shard *s, uint32_t member,
                              uint32_t source, enum pull_purpose purpose)
{
    struct copy *copy = copy_find(s, member);
    copy = copy != NULL ? copy : copy_add(c, s, member);
    if (copy == NULL && purpose != PULL_REPLICATE) {
        struct copy *extra = surplus(c, s, source);
        if (extra != NULL) {
            copy_drop(c, s, extra);
            copy = copy_add(c, s, member);
        }
    }
    return copy;
}

static bool is_read_from(const struct shard *s, uint32_t member)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].order_kind == ORDER_PULL && s->copies[i].source == member) {
            return true;
        }
    }
    return false;
}

/* The place of a copy that turns up, perhaps where all places are taken. One in a domain that has
 * no good copy yet takes that of one in a domain that has two, or of a repair under way. NULL: it
 * is one too many. */
struct copy *place_for_found(struct coordinator *c, struct shard *s, uint32_t member)
{
    struct copy *copy = copy_add(c, s, member);
    uint32_t domains = good_domains(c, s, NULL, NONE);
    struct copy *extra = NULL;
    if (copy != NULL || good_domains(c, s, NULL, member) == domains) {
        return copy;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *other = &s->copies[i];
        bool is_loaded = s->load_state != LOAD_NONE && s->load_member == other->member;
        bool is_twin = copy_is_good(s, other) && other->order_kind == ORDER_NONE &&
                       !is_read_from(s, other->member) &&
                       good_domains(c, s, other, NONE) == domains;
        bool is_repair = other->order_kind == ORDER_PULL && other->purpose == PULL_REPLICATE;
        if (!is_loaded && (is_repair || (is_twin && extra == NULL))) {
            extra = other;
        }
    }
    if (extra != NULL) {
        copy_drop(c, s, extra);
        copy = copy_add(c, s, member);
    }
    return copy;
}

void order_pull(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                uint32_t member, struct copy *source, enum pull_purpose purpose)
{
    uint32_t source_member = source->member;
    uint64_t source_generation = source->generation;
    struct copy *copy = place_for(c, s, member, source_member, purpose);
    if (copy == NULL) {
        park(c, s);
        return;
    }
    assert(copy->state != COPY_VERIFIED && copy->member != source_member);
    copy_set_order(c, copy, ORDER_PULL);
    copy->state = COPY_NONE;
    copy->owner = false;
    copy->cached = purpose == PULL_FETCH;
    copy->bad = false;
    copy->has_digest = false;
    copy->purpose = (uint8_t)purpose;
    copy->order = c->next_order++;
    copy->source = source_member;
    copy->source_generation = source_generation;
    uint32_t segments = shard_segments(c, s, member);
    uint32_t *segments_free = &c->places[member].segments_free;
    *segments_free -= segments < *segments_free ? segments : *segments_free;
    send_order(c, u, s, copy);
}

void order_verify(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                  struct copy *copy)
{
    assert(copy->order_kind != ORDER_PULL);
    copy_set_order(c, copy, ORDER_VERIFY);
    copy->order = c->next_order++;
    send_order(c, u, s, copy);
}

/* The same order under another number: an answer to the old one says nothing any more. */
void order_renew(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                 struct copy *copy)
{
    assert(copy->order_kind != ORDER_NONE);
    copy->order = c->next_order++;
    send_order(c, u, s, copy);
}

/* A pull whose source is gone, or has the shard in another slot by now, is ordered anew from where
 * it is now. */
void order_resend(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                  struct copy *copy)
{
    if (copy->order_kind == ORDER_PULL) {
        struct copy *source = copy_find(s, copy->source);
        if (source == NULL || source->generation != copy->source_generation || source->bad) {
            source = shard_source(c, s, copy->member);
            if (source == NULL) {
                copy_drop(c, s, copy);
                queue_push(c, s);
                return;
            }
            copy->order = c->next_order++;
            copy->source = source->member;
            copy->source_generation = source->generation;
        }
    }
    send_order(c, u, s, copy);
}

/* Members whose domains are taken by copies that count or soon will, and those to avoid. */
struct holders {
    uint32_t taken[COORDINATOR_COPIES_MAX];
    uint32_t taken_count;
    uint32_t avoid[COORDINATOR_COPIES_MAX];
    uint32_t avoid_count;
};

static struct holders holders_of(const struct coordinator *c, const struct shard *s)
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
        if (copy_is_good(s, copy) || pulling || counts_soon || waits) {
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
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE && s->copies[i].owner) {
            return s->copies[i].member;
        }
    }
    return h->taken[0];
}

/* Frees a husk or a cached copy's place in the choice: a member that failed is tried again only
 * when nobody else is left. */
static enum ckpt_status choose(const struct coordinator *c, const struct shard *s,
                               const struct holders *h, uint32_t *member_out)
{
    struct placement_map map = {.member_count = c->member_count,
                                .members = c->places,
                                .domain_count = c->domain_count,
                                .domains = c->domains};
    uint32_t origin = origin_of(s, h);
    uint32_t segments = shard_segments(c, s, origin);
    enum ckpt_status status = placement_choose(&map, origin, h->taken, h->taken_count, h->avoid,
                                               h->avoid_count, segments, member_out);
    if (status == CKPT_ERR_FULL && h->avoid_count > 0) {
        status =
            placement_choose(&map, origin, h->taken, h->taken_count, NULL, 0, segments, member_out);
    }
    return status;
}

/* Orders one more copy. False: nothing can be done now. */
static bool order_copy(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                       const struct holders *h)
{
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct copy *source = shard_source(c, s, NONE);
    uint32_t member;
    if (source == NULL) {
        return false;
    }
    enum ckpt_status status = choose(c, s, h, &member);
    if (status != CKPT_OK) {
        k->status = status;
        say(k->reason, "rank %u: %s", s->rank,
            status == CKPT_ERR_NO_DOMAIN
                ? "too few failure domains are alive for the copies asked for"
                : "no agent in another failure domain has room, or the only one failed");
        return false;
    }
    struct copy *there = copy_find(s, member);
    if (there != NULL && (there->order_kind == ORDER_PULL || there->state == COPY_VERIFIED)) {
        return false; /* a cached copy on the only member left: wait until it is released */
    }
    order_pull(c, u, s, member, source, PULL_REPLICATE);
    return true;
}

static void verify_copies(struct coordinator *c, struct coordinator_update *u, struct shard *s)
{
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (copy->member != NONE && copy->state == COPY_VERIFIED && !copy->cached &&
            copy->order_kind == ORDER_NONE) {
            order_verify(c, u, s, copy);
        }
    }
    s->verify_wanted = false;
}

static void attend(struct coordinator *c, struct coordinator_update *u, struct shard *s)
{
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    if (!checkpoint_is_open(k) && !checkpoint_is_committed(k)) {
        return;
    }
    if (s->verify_wanted) {
        verify_copies(c, u, s);
    }
    if (checkpoint_is_open(k) && !s->sealed) {
        return;
    }
    if (checkpoint_is_open(k) && shard_source(c, s, NONE) == NULL) {
        checkpoint_abort(c, u, k, CKPT_ERR_LOST, "rank %u: the node that saved it is gone",
                         s->rank);
        return;
    }
    struct placement_map map = {.member_count = c->member_count, .members = c->places};
    struct holders h = holders_of(c, s);
    while (placement_domains(&map, h.taken, h.taken_count) < k->copies) {
        if (h.taken_count == COORDINATOR_COPIES_MAX || !order_copy(c, u, s, &h)) {
            park(c, s);
            return;
        }
        h = holders_of(c, s);
    }
}

void attend_queue(struct coordinator *c, struct coordinator_update *u)
{
    while (update_has_room(u, COORDINATOR_COPIES_MAX + CKPT_COPIES_MAX) &&
           u->record_count < COORDINATOR_RECORDS_MAX / 2) {
        struct shard *s = queue_pop(c);
        if (s == NULL) {
            return;
        }
        attend(c, u, s);
    }
}
