/* SPDX-License-Identifier: Apache-2.0 */
/* What agents say of their copies: the only way in which anything becomes ready.
 *
 * Happy path: the owner reports SEALED (the checkpoint opens, pulls are ordered), then VERIFIED
 * (its digest becomes the reference); each holder reports VERIFIED with an equal digest. Failure
 * modes: the report contradicts what is known (refused with a reason, nothing changes); the digest
 * differs (the copy is refused, another is made; an owner that changed its mind means that the
 * bytes changed under the seal: abort).
 * A repeated report finds the state it asks for and is only acked again. */
#include "coordinator/report.h"

#include <assert.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/checkpoint.h"
#include "coordinator/copy.h"
#include "coordinator/digest_key.h"
#include "coordinator/find.h"
#include "coordinator/naming.h"
#include "coordinator/place.h"
#include "coordinator/queue.h"
#include "coordinator/redundancy.h"
#include "coordinator/replica.h"
#include "coordinator/report_ack.h"
#include "coordinator/report_digest.h"
#include "coordinator/report_open.h"
#include "coordinator/restore.h"
#include "coordinator/shard.h"
#include "coordinator/table.h"

static bool report_is_valid(const struct message_shard_report *r)
{
    return name_is_valid(r->shard.run.name, CKPT_RUN_NAME_MAX) &&
           r->shard.step != CKPT_STEP_LATEST && r->world >= 1 && r->world <= CKPT_WORLD_MAX &&
           r->copies >= 1 && r->copies <= CKPT_COPIES_MAX && r->bytes > 0;
}

/* What contradicts the checkpoint as it is known. */
static enum ckpt_status contradiction(struct coordinator *c, const struct checkpoint *k,
                                      const struct shard *s, uint32_t member,
                                      const struct message_shard_report *r, char *reason)
{
    assert(k->used);
    if (k->state == CHECKPOINT_ABORTED) {
        reason_set(reason, "%s", k->reason);
        return k->status;
    }
    if (r->world != k->world || r->shard.rank >= k->world) {
        reason_set(reason, "rank %u of world %u, but the checkpoint has world %u", r->shard.rank,
                   r->world, k->world);
        return CKPT_ERR_WORLD;
    }
    if (checkpoint_is_open(k) && r->copies != k->copies) {
        reason_set(reason, "wants %u copies, but other ranks want %u", r->copies, k->copies);
        return CKPT_ERR_INVALID;
    }
    if (s == NULL) {
        return CKPT_OK;
    }
    if (s->bytes != r->bytes) {
        reason_set(reason, "shard has %llu bytes, but %llu were announced",
                   (unsigned long long)r->bytes, (unsigned long long)s->bytes);
        return CKPT_ERR_SIZE;
    }
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (r->owner && checkpoint_is_open(k) && copy->member != NONE && copy->owner &&
            copy->member != member) {
            reason_set(reason,
                       "rank %u saves on node %s as well: two processes have one rank number",
                       r->shard.rank, c->members[copy->member].node);
            return CKPT_ERR_RANK;
        }
    }
    return CKPT_OK;
}

static void on_copy_gone(struct coordinator *c, uint32_t member,
                         const struct message_shard_report *r)
{
    assert(member < c->member_count);
    const struct found found = coordinator_find(c, &r->shard, member);
    const struct checkpoint *k = found.checkpoint;
    struct shard *s = found.shard;
    struct copy *copy = found.copy;
    /* A pull under way has a generation that this report cannot know. */
    if (copy != NULL && copy->order_kind != ORDER_PULL && copy->generation <= r->generation) {
        coordinator_copy_drop(c, s, copy);
        coordinator_shard_refresh(c, s);
        coordinator_restore_copy_gone(c, s, member);
        coordinator_queue_push(c, s);
    }
    coordinator_report_ack(c, member, r, k, CKPT_OK, "");
}

/* The shard for the report; s: as it is known, NULL when its owner announces it first. NULL:
 * refused, and answered. */
static struct shard *shard_for_report(struct coordinator *c, uint32_t member, struct checkpoint *k,
                                      struct shard *s, const struct message_shard_report *r)
{
    assert(member < c->member_count);
    assert(k->used);
    char reason[CKPT_REASON_MAX + 1] = "";
    enum ckpt_status status = contradiction(c, k, s, member, r, reason);
    if (status != CKPT_OK) {
        coordinator_report_refuse(c, member, r, (enum checkpoint_state)k->state, status, reason);
        return NULL;
    }
    if (s == NULL) {
        s = coordinator_shard_add(c, k, r->shard.rank);
        if (s == NULL) {
            coordinator_report_refuse(
                c, member, r, (enum checkpoint_state)k->state, CKPT_ERR_FULL,
                "no room for another shard in the coordinator's tables: raise shards_max");
            return NULL;
        }
        s->bytes = r->bytes;
    }
    coordinator_replica_note(k, s, r);
    if (r->owner && !s->sealed && r->state != COPY_ADOPTED) {
        coordinator_checkpoint_touch(c, k);
        s->sealed = true;
        k->bytes += s->bytes;
        k->progress_ms = c->now_ms;
        coordinator_checkpoint_time_seal(c, k, member);
        k->sealed++;
        coordinator_run_gone_on(c, &c->runs[k->run], &r->shard, member);
        uint32_t missing = PLANTED_BUG(MISSING_RANK) && k->world > 1;
        if (k->state == CHECKPOINT_OPEN && k->sealed + missing >= k->world) {
            coordinator_checkpoint_verifying(c, k);
        }
    }
    return s;
}

/* Where the member's copy is kept, known or new; NULL: refused, and answered. */
static struct copy *copy_for_report(struct coordinator *c, uint32_t member, struct shard *s,
                                    const struct message_shard_report *r)
{
    assert(member < c->member_count);
    assert(s->used);
    const struct checkpoint *k = &c->checkpoints[s->checkpoint];
    struct copy *copy = coordinator_copy_find(s, member);
    if (copy == NULL) {
        copy = r->cached ? coordinator_copy_add(c, s, member)
                         : coordinator_place_for_found(c, s, member);
    }
    if (copy == NULL) {
        coordinator_report_refuse(c, member, r, (enum checkpoint_state)k->state, CKPT_ERR_FULL,
                                  "more copies than are kept");
        return NULL;
    }
    assert(copy->member == member);
    if (r->generation < copy->generation) {
        coordinator_report_ack(c, member, r, k, CKPT_ERR_STALE, "an older generation");
        return NULL;
    }
    if (copy->bad && copy->state == COPY_NONE && copy->generation == r->generation) {
        coordinator_report_ack(c, member, r, k, CKPT_ERR_DIGEST, "refused before");
        return NULL;
    }
    return copy;
}

/* The copy is in another slot than the one that was known: nothing that was said of that holds. */
static void generation_moves(struct coordinator *c, struct copy *copy, uint64_t generation)
{
    assert(copy->member != NONE);
    assert(generation > copy->generation);
    coordinator_copy_move(c, copy, COPY_NONE);
    copy->has_digest = false;
    copy->called_back = false;
    copy->generation = generation;
    if (copy->order_kind == ORDER_LET_GO) {
        coordinator_copy_set_order(c, copy, ORDER_NONE); /* of the slot before */
    }
}

/* Its digest says something here. That a copy has had two is so under whichever key it had them. */
static bool is_judged(const struct coordinator *c, const struct checkpoint *k,
                      const struct message_shard_report *r)
{
    assert(k->used);
    return r->state == COPY_VERIFIED &&
           (r->changed || coordinator_key_is_of(c, &c->runs[k->run], r));
}

/* What a copy is whose digest says nothing. */
static enum copy_state unproven(const struct checkpoint *k, const struct message_shard_report *r)
{
    assert(k->used);
    if (r->state != COPY_VERIFIED) {
        return r->state;
    }
    return r->owner && checkpoint_is_open(k) ? COPY_SEALED : COPY_ADOPTED;
}

void coordinator_on_shard_report(struct coordinator *c, uint32_t member,
                                 const struct message_shard_report *r)
{
    assert(member < c->member_count);
    if (!report_is_valid(r)) {
        coordinator_report_refuse(c, member, r, CHECKPOINT_NONE, CKPT_ERR_INVALID,
                                  "report with invalid values");
        return;
    }
    if (r->state == COPY_NONE) {
        on_copy_gone(c, member, r);
        return;
    }
    if (coordinator_naming_answered(c, member, r)) {
        return;
    }
    const struct found found = coordinator_find(c, &r->shard, NONE);
    struct checkpoint *k = found.checkpoint;
    k = k != NULL ? k : coordinator_report_open(c, member, r);
    struct shard *s = k == NULL ? NULL : shard_for_report(c, member, k, found.shard, r);
    struct copy *copy = s == NULL ? NULL : copy_for_report(c, member, s, r);
    if (copy == NULL) {
        return;
    }
    if (r->generation > copy->generation) {
        generation_moves(c, copy, r->generation);
    }
    copy->owner = r->owner;
    copy->cached = r->cached;
    coordinator_shard_refresh(c, s); /* a copy that counted may be another, or a reader's, by now */
    if (is_judged(c, k, r)) {
        coordinator_report_digest(c, s, copy, r);
        return;
    }
    if (copy->state != COPY_VERIFIED) {
        coordinator_copy_move(c, copy, unproven(k, r));
        coordinator_queue_push(c, s);
    }
    coordinator_shard_refresh(c, s);
    coordinator_report_ack(c, member, r, k, CKPT_OK, "");
}
