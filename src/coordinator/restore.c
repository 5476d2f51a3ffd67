/* SPDX-License-Identifier: Apache-2.0 */
/* One verdict for all ranks of a load.
 *
 *   CHOOSING --a step is fit--> PULLING --all ranks asked, all copies digested anew--> ENDED (ok)
 *      ^                          |  a shard without a source, restore_passes times
 *      |__ the next older step ___|                                     ENDED (error), for all
 *
 * Nobody gets a byte before everybody can: the verdict goes out when the last rank's copy, in the
 * memory of that rank's own agent, has been digested after the ask and found equal to the committed
 * digest. Asks are repeated by the agents until answered, so an ask that comes while choosing is
 * not kept. A failed pull makes its rank ask-able again: the next repeat of the ask orders it
 * anew. */
#include "coordinator/restore.h"

#include <assert.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/checkpoint.h"
#include "coordinator/copy.h"
#include "coordinator/order.h"
#include "coordinator/place.h"
#include "coordinator/restore_choose.h"
#include "coordinator/restore_state.h"
#include "coordinator/shard.h"
#include "coordinator/update.h"
#include "coordinator/verdict.h"

/* The verdict is on record before any rank hears it: a coordinator that starts anew in the middle
 * tells the other ranks the same step, though a newer one may have become consistent meanwhile. */
static void end_if_ready(struct coordinator *c, struct run *run)
{
    assert(run->used);
    struct restore *restore = &run->restore;
    if (restore->state != RESTORE_PULLING || restore->ready < restore->world) {
        return;
    }
    if (c->update->record_count == COORDINATOR_RECORDS_MAX) {
        c->update->again = true; /* the tick goes on */
        return;
    }
    if (!restore->decided) {
        struct coordinator_record *record = coordinator_update_record(c, RECORD_VERDICT);
        record->run = run->key;
        record->attempt = run->verdict_attempt = restore->attempt;
        record->step = run->verdict_step = c->checkpoints[restore->checkpoint].step;
        record->bytes = run->verdict_load = restore->load;
        coordinator_run_pass_over(c, run, 0, run->verdict_step);
        restore->decided = true; /* also for a rank that asks again, and finds its copy gone */
    }
    coordinator_restore_end(c, run, CKPT_OK, "");
}

static void become_ready(struct coordinator *c, struct run *run, struct shard *s)
{
    assert(run->used);
    assert(s->used);
    struct restore *restore = &run->restore;
    coordinator_load_move(s, LOAD_READY);
    restore->ready++;
    if (restore->state == RESTORE_PULLING) {
        end_if_ready(c, run);
    } else if (restore->state == RESTORE_ENDED && restore->status == CKPT_OK) {
        restore->verdicts_due = true; /* a rank that moved after the verdict */
        restore->verdict_rank = s->rank < restore->verdict_rank ? s->rank : restore->verdict_rank;
        coordinator_restore_stirs(c, run);
        c->update->again = true;
    }
}

void coordinator_restore_copy_verified(struct coordinator *c, struct shard *s, struct copy *copy,
                                       uint64_t order)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    struct run *run = &c->runs[c->checkpoints[s->checkpoint].run];
    struct restore *restore = &run->restore;
    if (order != 0 && restore->state != RESTORE_NONE && restore->checkpoint == s->checkpoint &&
        s->load_restore == restore->id && s->load_state == LOAD_ASKED &&
        s->load_member == copy->member && s->load_order == order) {
        become_ready(c, run, s);
    }
}

void coordinator_restore_copy_gone(struct coordinator *c, struct shard *s, uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    struct run *run = &c->runs[c->checkpoints[s->checkpoint].run];
    struct restore *restore = &run->restore;
    if (restore->state == RESTORE_NONE || !coordinator_restore_is_asked(restore, s) ||
        s->load_member != member) {
        return;
    }
    coordinator_restore_forget_ask(c, run, s);
}

static void asked(struct shard *s, const struct restore *restore, uint32_t member)
{
    assert(s->used);
    s->load_restore = restore->id;
    s->load_member = member;
    coordinator_load_move(s, LOAD_ASKED);
}

/* Has the asking rank's agent make or digest its copy. */
static void ask_copy(struct coordinator *c, struct run *run, struct shard *s, uint32_t member)
{
    assert(run->used);
    assert(s->used);
    struct restore *restore = &run->restore;
    struct copy *copy = coordinator_copy_find(s, member);
    if (copy != NULL && copy->order_kind == ORDER_LET_GO) {
        coordinator_order_stay(c, s, copy);
        s->load_order = copy->order;
    } else if (copy != NULL && copy->order_kind == ORDER_PULL) {
        /* A repair to this very node, or a reader's, is under way. Its agent may have had the bytes
         * all along, and its answer be of before the ask: with a new number it digests again. */
        coordinator_order_renew(c, s, copy);
        s->load_order = copy->order;
    } else if (copy != NULL && copy->state == COPY_ADOPTED) {
        return; /* its first digest is under way */
    } else if (copy != NULL && copy_is_good(s, copy) && PLANTED_BUG(RESTORE_UNVERIFIED)) {
        asked(s, restore, member);
        become_ready(c, run, s);
        return;
    } else if (PLANTED_BUG(VERDICT_NOT_HELD)) {
        asked(s, restore, member);
        become_ready(c, run, s);
        return;
    } else if (copy != NULL && copy->state == COPY_VERIFIED && !copy->bad) {
        /* A reader's cached copy does as well: it is digested anew like any other. */
        coordinator_order_verify(c, s, copy);
        s->load_order = copy->order;
    } else {
        struct source source = coordinator_shard_source(c, s, member);
        if (source.kind == SOURCE_NONE) {
            coordinator_restore_pass_failed(c, run, &c->checkpoints[s->checkpoint], s->rank);
            return;
        }
        restore->waits[0] = '\0';
        if (!coordinator_order_pull(c, s, member, source, PULL_RESTORE)) {
            return;
        }
        copy = coordinator_copy_find(s, member);
        s->load_order = copy->order;
    }
    asked(s, restore, member);
}

void coordinator_restore_ask(struct coordinator *c, struct run *run, uint32_t member,
                             const struct message_load_ask *ask)
{
    assert(run->used);
    assert(member < c->member_count);
    struct restore *restore = &run->restore;
    struct shard *s = coordinator_shard_find(c, &c->checkpoints[restore->checkpoint], ask->rank);
    assert(s != NULL);
    if (!coordinator_restore_is_asked(restore, s)) {
        ask_copy(c, run, s, member);
        return;
    }
    if (s->load_member != member) {
        /* Of a start with a name it has the rank's seat: the process before has left it. */
        if (c->members[s->load_member].state == MEMBER_JOINED &&
            restore->state == RESTORE_PULLING && nonce_is_zero(&ask->start)) {
            coordinator_send_verdict(c, member, ask, CKPT_ERR_RANK,
                                     "another node restores the same rank in the same load", NULL);
            return;
        }
        coordinator_restore_copy_gone(c, s, s->load_member);
        coordinator_load_move(s, LOAD_NONE);
        ask_copy(c, run, s, member);
        return;
    }
    if (s->load_state == LOAD_ASKED) {
        struct copy *copy = coordinator_copy_find(s, member);
        if (copy == NULL || copy->order != s->load_order || copy->order_kind == ORDER_NONE) {
            /* Another order took its place, or failed without a word of this load. */
            coordinator_load_move(s, LOAD_NONE);
            ask_copy(c, run, s, member);
        } else if (coordinator_order_is_stale(c, copy)) {
            coordinator_order_resend(c, s, copy);
            s->load_order = copy->member == member ? copy->order : 0;
        }
    } else if (restore->state == RESTORE_ENDED) {
        restore->told = true;
        coordinator_send_verdict(c, member, ask, CKPT_OK, "", s);
        coordinator_load_move(s, LOAD_ANSWERED);
    }
}

/* Sends what verdicts fit; the rest goes out in the next turn. */
static void send_verdicts(struct coordinator *c, struct run *run)
{
    assert(run->used);
    struct restore *restore = &run->restore;
    struct checkpoint *k = &c->checkpoints[restore->checkpoint];
    for (; restore->verdict_rank < restore->world; restore->verdict_rank++) {
        if (!coordinator_update_has_room(c, 1)) {
            c->update->again = true;
            return;
        }
        struct shard *s = coordinator_shard_find(c, k, restore->verdict_rank);
        bool due = s != NULL && coordinator_restore_is_asked(restore, s) &&
                   s->load_state != LOAD_ANSWERED &&
                   (restore->status != CKPT_OK || s->load_state == LOAD_READY);
        if (!due) {
            continue;
        }
        struct message_load_ask ask = {.run = run->key,
                                       .attempt = restore->attempt,
                                       .start = run->start_nonce,
                                       .asking_rank = s->rank,
                                       .rank = s->rank,
                                       .collective = true,
                                       .load = restore->load};
        restore->told = restore->told || restore->status == CKPT_OK;
        coordinator_send_verdict(c, s->load_member, &ask, restore->status, restore->reason,
                                 restore->status == CKPT_OK ? s : NULL);
        coordinator_load_move(s, LOAD_ANSWERED);
    }
    restore->verdicts_due = false;
}

void coordinator_restores_tick(struct coordinator *c)
{
    for (uint32_t i = 0; (i = index_set_from(&c->runs_loading, i)) != NONE; i++) {
        struct run *run = &c->runs[i];
        struct restore *restore = &run->restore;
        if (!coordinator_update_has_room(c, 4) ||
            c->update->record_count + 2 > COORDINATOR_RECORDS_MAX) {
            c->update->again = true;
            return;
        }
        bool pending = restore->state == RESTORE_CHOOSING || restore->state == RESTORE_PULLING;
        if (pending && c->now_ms >= restore->started_ms + c->config.restore_timeout_ms) {
            char waits[CKPT_REASON_MAX + 1];
            reason_set(waits, "%s", restore->waits);
            coordinator_restore_end(
                c, run, waits[0] != '\0' ? CKPT_ERR_LOST : CKPT_ERR_TIMEOUT,
                waits[0] != '\0' ? waits
                                 : "not every rank asked, or not every shard arrived, in time");
        }
        end_if_ready(c, run);
        if (restore->state == RESTORE_ENDED && restore->verdicts_due) {
            send_verdicts(c, run);
        }
        coordinator_restore_stirs(c, run);
    }
}
