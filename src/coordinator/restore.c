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
static void end_if_ready(struct coordinator *c, struct coordinator_update *u, struct run *run)
{
    struct session *e = &run->session;
    if (e->state != SESSION_PULLING || e->ready < e->world) {
        return;
    }
    if (u->record_count == COORDINATOR_RECORDS_MAX) {
        u->again = true; /* the tick goes on */
        return;
    }
    if (!e->decided) {
        struct coordinator_record *record = update_record(c, u, RECORD_VERDICT);
        record->run = run->key;
        record->attempt = run->verdict_attempt = e->attempt;
        record->step = run->verdict_step = c->checkpoints[e->checkpoint].step;
        record->bytes = run->verdict_load = e->load;
        run_pass_over(c, run, 0, run->verdict_step);
        e->decided = true; /* also for a rank that asks again, and finds its copy gone */
    }
    restore_end(c, u, run, CKPT_OK, "");
}

static void become_ready(struct coordinator *c, struct coordinator_update *u, struct run *run,
                         struct shard *s)
{
    struct session *e = &run->session;
    s->load_state = LOAD_READY;
    e->ready++;
    if (e->state == SESSION_PULLING) {
        end_if_ready(c, u, run);
    } else if (e->state == SESSION_ENDED && e->status == CKPT_OK) {
        e->verdicts_due = true; /* a rank that moved after the verdict */
        e->verdict_rank = s->rank < e->verdict_rank ? s->rank : e->verdict_rank;
        session_stirs(c, run);
        u->again = true;
    }
}

void restore_copy_verified(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                           struct copy *copy, uint64_t order)
{
    struct run *run = &c->runs[c->checkpoints[s->checkpoint].run];
    struct session *e = &run->session;
    if (order != 0 && e->state != SESSION_NONE && e->checkpoint == s->checkpoint &&
        s->load_session == e->id && s->load_state == LOAD_ASKED && s->load_member == copy->member &&
        s->load_order == order) {
        become_ready(c, u, run, s);
    }
}

void restore_copy_gone(struct coordinator *c, struct shard *s, uint32_t member)
{
    struct run *run = &c->runs[c->checkpoints[s->checkpoint].run];
    struct session *e = &run->session;
    if (e->state == SESSION_NONE || !session_is_asked(e, s) || s->load_member != member) {
        return;
    }
    bool untold = e->state == SESSION_ENDED && e->status == CKPT_OK && !e->told;
    if (s->load_state == LOAD_READY && (e->state == SESSION_PULLING || untold)) {
        assert(e->ready > 0);
        e->ready--;
        e->state = SESSION_PULLING; /* nobody has heard that all was well: it is not any more */
        e->verdicts_due = false;
        session_stirs(c, run);
    }
    s->load_state = LOAD_NONE;
}

/* Has the asking rank's agent make or digest its copy. */
static void ask_copy(struct coordinator *c, struct coordinator_update *u, struct run *run,
                     struct shard *s, uint32_t member)
{
    struct session *e = &run->session;
    struct copy *copy = copy_find(s, member);
    if (copy != NULL && copy->order_kind == ORDER_LET_GO) {
        order_stay(c, u, s, copy);
        s->load_order = copy->order;
    } else if (copy != NULL && copy->order_kind == ORDER_PULL) {
        /* A repair to this very node, or a reader's, is under way. Its agent may have had the bytes
         * all along, and its answer be of before the ask: with a new number it digests again. */
        order_renew(c, u, s, copy);
        s->load_order = copy->order;
    } else if (copy != NULL && copy->state == COPY_HELD) {
        return; /* its first digest is under way */
    } else if (copy != NULL && copy_is_good(s, copy) && PLANTED_BUG(RESTORE_UNVERIFIED)) {
        s->load_session = e->id;
        s->load_member = member;
        become_ready(c, u, run, s);
        return;
    } else if (PLANTED_BUG(VERDICT_NOT_HELD)) {
        s->load_session = e->id;
        s->load_member = member;
        become_ready(c, u, run, s);
        return;
    } else if (copy != NULL && copy->state == COPY_VERIFIED && !copy->bad) {
        /* A reader's cached copy does as well: it is digested anew like any other. */
        order_verify(c, u, s, copy);
        s->load_order = copy->order;
    } else {
        struct copy *source = shard_source(c, s, member);
        if (source == NULL) {
            restore_pass_failed(c, u, run, &c->checkpoints[s->checkpoint], s->rank);
            return;
        }
        e->waits[0] = '\0';
        if (!order_pull(c, u, s, member, source, PULL_RESTORE)) {
            return;
        }
        copy = copy_find(s, member);
        s->load_order = copy->order;
    }
    s->load_session = e->id;
    s->load_member = member;
    s->load_state = LOAD_ASKED;
}

void restore_ask(struct coordinator *c, struct coordinator_update *u, struct run *run,
                 uint32_t member, const struct message_load_ask *ask)
{
    struct session *e = &run->session;
    struct shard *s = shard_find(c, &c->checkpoints[e->checkpoint], ask->rank);
    assert(s != NULL);
    if (!session_is_asked(e, s)) {
        ask_copy(c, u, run, s, member);
        return;
    }
    if (s->load_member != member) {
        /* Of a start with a name it has the rank's seat: the process before has left it. */
        if (c->members[s->load_member].state == MEMBER_JOINED && e->state == SESSION_PULLING &&
            nonce_is_zero(&ask->start)) {
            send_verdict(c, u, member, ask, CKPT_ERR_RANK,
                         "another node restores the same rank in the same load", NULL);
            return;
        }
        restore_copy_gone(c, s, s->load_member);
        s->load_state = LOAD_NONE;
        ask_copy(c, u, run, s, member);
        return;
    }
    if (s->load_state == LOAD_ASKED) {
        struct copy *copy = copy_find(s, member);
        if (copy == NULL || copy->order != s->load_order || copy->order_kind == ORDER_NONE) {
            /* Another order took its place, or failed without a word of this session. */
            s->load_state = LOAD_NONE;
            ask_copy(c, u, run, s, member);
        } else if (order_is_stale(c, copy)) {
            order_resend(c, u, s, copy);
            s->load_order = copy->member == member ? copy->order : 0;
        }
    } else if (e->state == SESSION_ENDED) {
        e->told = true;
        send_verdict(c, u, member, ask, CKPT_OK, "", s);
        s->load_state = LOAD_ANSWERED;
    }
}

/* Sends what verdicts fit; the rest goes out in the next turn. */
static void send_verdicts(struct coordinator *c, struct coordinator_update *u, struct run *run)
{
    struct session *e = &run->session;
    struct checkpoint *k = &c->checkpoints[e->checkpoint];
    for (; e->verdict_rank < e->world; e->verdict_rank++) {
        if (!update_has_room(u, 1)) {
            u->again = true;
            return;
        }
        struct shard *s = shard_find(c, k, e->verdict_rank);
        bool due = s != NULL && session_is_asked(e, s) && s->load_state != LOAD_ANSWERED &&
                   (e->status != CKPT_OK || s->load_state == LOAD_READY);
        if (!due) {
            continue;
        }
        struct message_load_ask ask = {.run = run->key,
                                       .attempt = e->attempt,
                                       .start = run->start_nonce,
                                       .asking_rank = s->rank,
                                       .rank = s->rank,
                                       .collective = true,
                                       .load = e->load};
        e->told = e->told || e->status == CKPT_OK;
        send_verdict(c, u, s->load_member, &ask, e->status, e->reason,
                     e->status == CKPT_OK ? s : NULL);
        s->load_state = LOAD_ANSWERED;
    }
    e->verdicts_due = false;
}

void sessions_tick(struct coordinator *c, struct coordinator_update *u)
{
    for (uint32_t i = 0; (i = index_set_from(&c->runs_loading, i)) != NONE; i++) {
        struct run *run = &c->runs[i];
        struct session *e = &run->session;
        if (!update_has_room(u, 4) || u->record_count + 2 > COORDINATOR_RECORDS_MAX) {
            u->again = true;
            return;
        }
        bool pending = e->state == SESSION_CHOOSING || e->state == SESSION_PULLING;
        if (pending && c->now_ms >= e->started_ms + c->config.restore_timeout_ms) {
            char waits[CKPT_REASON_MAX + 1];
            say(waits, "%s", e->waits);
            restore_end(c, u, run, waits[0] != '\0' ? CKPT_ERR_LOST : CKPT_ERR_TIMEOUT,
                        waits[0] != '\0'
                            ? waits
                            : "not every rank asked, or not every shard arrived, in time");
        }
        end_if_ready(c, u, run);
        if (e->state == SESSION_ENDED && e->verdicts_due) {
            send_verdicts(c, u, run);
        }
        session_stirs(c, run);
    }
}
