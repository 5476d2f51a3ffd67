/* SPDX-License-Identifier: Apache-2.0 */
/* A copy's digest is judged: by the shard's, and by what the copy said before. */
#include "coordinator/report_digest.h"

#include <assert.h>

#include "coordinator/checkpoint.h"
#include "coordinator/commit.h"
#include "coordinator/copy.h"
#include "coordinator/drain.h"
#include "coordinator/fetch.h"
#include "coordinator/mark.h"
#include "coordinator/note.h"
#include "coordinator/order.h"
#include "coordinator/queue.h"
#include "coordinator/redundancy.h"
#include "coordinator/report_ack.h"
#include "coordinator/restore.h"
#include "coordinator/table.h"

/* What was read from it differs: either the reader is wrong or the source is, since its own digest.
 * The source digests again; until it has, others are preferred. */
static void suspect_source(struct coordinator *c, struct shard *s, uint32_t source_member)
{
    assert(s->used);
    struct copy *source = source_member == NONE ? NULL : coordinator_copy_find(s, source_member);
    if (source == NULL) {
        return;
    }
    if (source->source_failures < UINT8_MAX) {
        source->source_failures++;
    }
    if (source->state == COPY_VERIFIED && source->order_kind == ORDER_NONE) {
        coordinator_order_verify(c, s, source);
    }
}

/* A digest that differs from the reference, or from what this copy said before. */
static void on_mismatch(struct coordinator *c, struct shard *s, struct copy *copy,
                        const struct message_shard_report *r, const char *what)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct member *m = &c->members[copy->member];
    uint32_t member = copy->member;
    bool owner = copy->owner;
    uint32_t source = copy->order_kind == ORDER_PULL ? copy->source.member : NONE;
    coordinator_note(c, EVENT_digest_mismatch, about_copy(m->node, &r->shard), "%s", what);
    m->mismatches++;

    coordinator_copy_set_order(c, copy, ORDER_NONE);
    coordinator_copy_move(c, copy, COPY_NONE);
    copy->bad = true;
    copy->has_digest = false;
    coordinator_shard_refresh(c, s);
    coordinator_restore_copy_gone(c, s, member);
    if (m->connected) { /* otherwise it hears of it when it reports again */
        coordinator_report_ack(c, member, r, k, CKPT_ERR_DIGEST, what);
    }

    if (!checkpoint_is_open(k)) {
        suspect_source(c, s, source);
        coordinator_queue_push(c, s);
        return;
    }
    s->failures++;
    if (owner) {
        coordinator_checkpoint_abort(c, k, CKPT_ERR_DIGEST,
                                     "rank %u: the bytes changed after they were sealed (node %s)",
                                     s->rank, m->node);
    } else if (s->failures >= c->config.pull_attempts_max && !coordinator_drain_makes_do(c, k)) {
        coordinator_checkpoint_abort(c, k, CKPT_ERR_DIGEST,
                                     "rank %u: no copy has the owner's digest after %u tries",
                                     s->rank, s->failures);
    } else {
        for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
            struct copy *other = &s->copies[i];
            if (other->member != NONE && other->owner && other->order_kind == ORDER_NONE &&
                other->state == COPY_VERIFIED) {
                coordinator_order_verify(c, s, other);
            }
        }
        coordinator_queue_push(c, s);
    }
}

/* The owner's first digest is the reference: holders that were faster are judged now. */
static void set_reference(struct coordinator *c, struct shard *s, const struct digest *digest)
{
    assert(s->used);
    s->has_digest = true;
    s->digest = *digest;
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        struct copy *copy = &s->copies[i];
        if (copy->member == NONE || copy->owner || copy->state != COPY_VERIFIED ||
            digest_equal(&copy->digest, digest)) {
            continue;
        }
        struct message_shard_report r = {.world = c->checkpoints[s->checkpoint].world,
                                         .bytes = s->bytes,
                                         .generation = copy->generation,
                                         .state = COPY_VERIFIED};
        coordinator_shard_key(c, s, &r.shard);
        on_mismatch(c, s, copy, &r, "differs from the owner's digest");
        if (c->checkpoints[s->checkpoint].state == CHECKPOINT_ABORTED) {
            return;
        }
    }
}

/* A word that answers no order, of a copy that is to be digested anew: it was sent before the order
 * came there, and what it tells may be of long ago. */
static bool is_of_before(const struct shard *s, const struct copy *copy, bool answers)
{
    assert(copy_is_of(s, copy));
    return !answers && (copy->order_kind == ORDER_VERIFY || s->verify_wanted);
}

/* A good digest. */
static void on_verified(struct coordinator *c, struct shard *s, struct copy *copy,
                        const struct message_shard_report *r)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    struct checkpoint *k = &c->checkpoints[s->checkpoint];
    uint64_t order = copy->order;
    bool answered = r->order != 0 && r->order == order;

    if (copy->state != COPY_VERIFIED) {
        coordinator_copy_move(c, copy, COPY_VERIFIED);
        copy->bad = false;
        k->progress_ms = c->now_ms;
    }
    copy->has_digest = true;
    copy->digest = r->digest;
    if (!is_of_before(s, copy, answered)) {
        copy->verified_ms = c->now_ms;
    }
    if (copy->order_kind == ORDER_LET_GO) {
        copy->kept_ms = c->now_ms; /* in use there */
    }
    copy->called_back = false;
    if (copy->order_kind == ORDER_PULL || (copy->order_kind != ORDER_NONE && answered)) {
        coordinator_copy_set_order(c, copy, ORDER_NONE);
    }
    if (!s->has_digest && copy->owner) {
        set_reference(c, s, &r->digest);
        if (k->state == CHECKPOINT_ABORTED) {
            return;
        }
    }
    coordinator_shard_refresh(c, s);
    coordinator_report_ack(c, copy->member, r, k, CKPT_OK, "");
    coordinator_restore_copy_verified(c, s, copy, answered ? order : 0);
    if (s->has_digest && answered) {
        coordinator_fetch_copy_verified(c, s, copy); /* digested after the ask, not some time ago */
    }
    coordinator_queue_push(c, s);
    coordinator_commit_if_due(c, k);
    coordinator_offer_again_if_whole(c, k);
}

/* A holder's copy that this life of the coordinator never asked for, of a checkpoint that is not
 * committed: perhaps found after a coordinator's start, perhaps a word that was on its way when the
 * copy was refused and freed. Which of the two, only an answer to an order of now can tell. */
static bool is_out_of_the_blue(const struct checkpoint *k, const struct copy *copy,
                               const struct message_shard_report *r)
{
    assert(k->used);
    bool answers = copy->order_kind != ORDER_NONE && r->order != 0 && r->order == copy->order;
    return checkpoint_is_open(k) && !r->owner && copy->state != COPY_VERIFIED && !answers;
}

static void prove(struct coordinator *c, struct shard *s, struct copy *copy,
                  const struct message_shard_report *r)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    if (copy->order_kind == ORDER_NONE) {
        coordinator_copy_move(c, copy, COPY_ADOPTED);
        coordinator_copy_weigh(c, s, copy);
        coordinator_order_verify(c, s, copy);
    }
    coordinator_report_ack(c, copy->member, r, &c->checkpoints[s->checkpoint], CKPT_OK, "");
}

void coordinator_report_digest(struct coordinator *c, struct shard *s, struct copy *copy,
                               const struct message_shard_report *r)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    bool changed = r->changed || (copy->has_digest && !digest_equal(&copy->digest, &r->digest));
    bool differs = s->has_digest && !digest_equal(&s->digest, &r->digest);
    if (changed || differs) {
        on_mismatch(c, s, copy, r,
                    changed ? "differs from what this copy said before"
                            : "differs from the shard's digest");
    } else if ((copy->order_kind == ORDER_LET_GO || copy->called_back) && r->order != copy->order) {
        /* Said before the order came there, or of a copy that may be gone by now. */
        coordinator_report_ack(c, copy->member, r, k, CKPT_OK, "");
    } else if (is_out_of_the_blue(k, copy, r)) {
        prove(c, s, copy, r);
    } else {
        on_verified(c, s, copy, r);
    }
}
