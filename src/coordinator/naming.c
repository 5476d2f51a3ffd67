/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE3 of the copies of a checkpoint whose run is proven by fingerprints, as a person asks.
 *
 * The orders are beside those that copies have: a copy is proven, pulled from and restored
 * meanwhile as ever, and its answer is kept here alone. One checkpoint at a time, and of a large
 * one a part at a time, so that the table is small; nothing of it outlives the coordinator, and who
 * asked asks again.
 *
 * Holders of equal bytes have one BLAKE3. Where two differ, one of them has rotted, and which one
 * only the committed fingerprint tells: all copies of the shard are proven again, as by an order to
 * verify. */
#include "coordinator/naming.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/copy.h"
#include "coordinator/note.h"
#include "coordinator/queue.h"
#include "coordinator/shard.h"
#include "coordinator/table.h"
#include "coordinator/update.h"

/* Answers of the checkpoint before are awaited for so long after its last one. */
#define QUIET_MS 10000

/* The copy as it was when it was asked; NULL: it is not there any more. */
static const struct copy *copy_of(struct coordinator *c, const struct named_copy *named)
{
    assert(named->shard < c->shards_high && named->member < c->member_count);
    struct shard *s = &c->shards[named->shard];
    const struct copy *copy =
        s->used && s->weight == named->weight ? coordinator_copy_find(s, named->member) : NULL;
    bool is_same = copy != NULL && copy->generation == named->generation && !copy->bad &&
                   copy->state != COPY_NONE;
    return is_same ? copy : NULL;
}

static bool is_under_way(struct coordinator *c)
{
    const struct naming *n = &c->naming;
    assert(n->count <= NAMES_MAX);
    if (c->now_ms >= n->heard_ms + QUIET_MS) {
        return false;
    }
    for (uint32_t i = 0; i < n->count; i++) {
        if (!c->names[i].told && copy_of(c, &c->names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* False: there is no place for all of the shard's. */
static bool add_copies(struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    struct naming *n = &c->naming;
    if (n->count + COORDINATOR_COPIES_MAX > NAMES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->member != NONE && copy->state == COPY_VERIFIED && !copy->cached && !copy->bad) {
            c->names[n->count++] = (struct named_copy){.shard = shard_index(c, s),
                                                       .member = copy->member,
                                                       .weight = s->weight,
                                                       .generation = copy->generation};
        }
    }
    return true;
}

void coordinator_naming_begin(struct coordinator *c, struct checkpoint *k, uint32_t from)
{
    assert(k->used);
    struct naming *n = &c->naming;
    bool is_same = n->checkpoint == checkpoint_index(c, k) && n->step == k->step;
    if (!is_same && is_under_way(c)) {
        c->update->admin_status = CKPT_ERR_BUSY;
        reason_set(c->update->admin_reason,
                   "the copies of another checkpoint (step %llu) are being digested by BLAKE3: "
                   "repeat it when that has ended",
                   (unsigned long long)n->step);
        return;
    }
    *n = (struct naming){.used = true,
                         .checkpoint = checkpoint_index(c, k),
                         .attempt = k->attempt,
                         .step = k->step,
                         .next_rank = k->world,
                         .first_order = c->next_order,
                         .round_ms = c->now_ms,
                         .heard_ms = c->now_ms};
    for (uint32_t rank = from; rank < k->world; rank++) {
        const struct shard *s = coordinator_shard_find(c, k, rank);
        if (s != NULL && !add_copies(c, s)) {
            n->next_rank = rank;
            break;
        }
    }
    c->next_order += n->count;
}

/* Where two of the shard's answers differ, all its copies are proven again. Those of a shard stand
 * side by side. */
static void compare(struct coordinator *c, uint32_t place, const struct message_shard_report *r)
{
    assert(place < c->naming.count && c->names[place].told);
    const struct named_copy *told = &c->names[place];
    struct shard *s = &c->shards[told->shard];
    uint32_t first = place < COORDINATOR_COPIES_MAX ? 0 : place - COORDINATOR_COPIES_MAX;
    for (uint32_t i = first; i < c->naming.count && i <= place + COORDINATOR_COPIES_MAX; i++) {
        const struct named_copy *other = &c->names[i];
        if (other->shard != told->shard || !other->told || copy_of(c, other) == NULL ||
            digest_equal(&other->name, &told->name)) {
            continue;
        }
        coordinator_note(c, EVENT_names_differ,
                         about_copy(c->members[told->member].node, &r->shard),
                         "its BLAKE3 is another than that of node %s's copy: all copies of the "
                         "shard are proven again",
                         c->members[other->member].node);
        s->verify_wanted = true;
        coordinator_queue_push(c, s);
        return;
    }
}

bool coordinator_naming_answered(struct coordinator *c, uint32_t member,
                                 const struct message_shard_report *r)
{
    assert(member < c->member_count);
    struct naming *n = &c->naming;
    if (r->state != COPY_VERIFIED || r->digest_key != DIGEST_KEY_ID_BLAKE3 ||
        r->order < n->first_order || r->order - n->first_order >= n->count) {
        return false;
    }
    uint32_t place = (uint32_t)(r->order - n->first_order);
    struct named_copy *named = &c->names[place];
    struct shard_key key;
    if (named->member != member || named->generation != r->generation ||
        copy_of(c, named) == NULL) {
        return false;
    }
    coordinator_shard_key(c, &c->shards[named->shard], &key);
    if (!shard_key_equal(&key, &r->shard)) {
        return false;
    }
    if (!named->told) {
        named->told = true;
        named->name = r->digest;
        n->heard_ms = c->now_ms;
        compare(c, place, r);
    }
    return true;
}

static void send_order(struct coordinator *c, uint32_t place)
{
    assert(place < c->naming.count);
    const struct named_copy *named = &c->names[place];
    struct message *m =
        coordinator_update_message(c, c->members[named->member].link, MESSAGE_VERIFY_ORDER);
    m->verify_order.order = c->naming.first_order + place;
    m->verify_order.generation = named->generation;
    m->verify_order.key = (struct digest_key){.kind = DIGEST_KIND_BLAKE3};
    coordinator_shard_key(c, &c->shards[named->shard], &m->verify_order.shard);
}

void coordinator_naming_pump(struct coordinator *c)
{
    struct naming *n = &c->naming;
    assert(n->sent <= n->count && n->count <= NAMES_MAX);
    if (n->sent == n->count && c->now_ms >= n->round_ms + c->config.resend_ms) {
        n->sent = 0;
        n->round_ms = c->now_ms;
    }
    for (; n->sent < n->count; n->sent++) {
        const struct named_copy *named = &c->names[n->sent];
        if (named->told || copy_of(c, named) == NULL || !c->members[named->member].connected) {
            continue;
        }
        if (!coordinator_update_has_room(c, 1)) {
            c->update->again = true;
            return;
        }
        send_order(c, n->sent);
    }
}

bool coordinator_names_view(const struct coordinator *c, uint32_t checkpoint_index,
                            struct coordinator_names_view *view_out)
{
    const struct naming *n = &c->naming;
    if (!n->used || checkpoint_index >= c->checkpoints_high || n->checkpoint != checkpoint_index ||
        !c->checkpoints[checkpoint_index].used ||
        c->checkpoints[checkpoint_index].step != n->step ||
        c->checkpoints[checkpoint_index].attempt != n->attempt) {
        return false;
    }
    *view_out = (struct coordinator_names_view){.count = n->count, .next_rank = n->next_rank};
    return true;
}

bool coordinator_name_view(const struct coordinator *c, uint32_t index,
                           struct coordinator_name_view *view_out)
{
    if (index >= c->naming.count) {
        return false;
    }
    const struct named_copy *named = &c->names[index];
    /* Changes nothing. */
    const struct copy *copy = copy_of((struct coordinator *)c, named);
    *view_out = (struct coordinator_name_view){.node = c->members[named->member].node,
                                               .rank = c->shards[named->shard].rank,
                                               .generation = named->generation,
                                               .is_there = copy != NULL,
                                               .told = named->told,
                                               .name = named->name};
    return true;
}
