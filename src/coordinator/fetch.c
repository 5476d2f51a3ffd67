/* SPDX-License-Identifier: Apache-2.0 */
/* Reading any rank's shard, outside of any verdict: resharding, serving, export.
 *
 * The asking agent gets a copy of its own (cached: it never counts) or digests the one it has; when
 * that digest has come in, the answer goes out. Asks are repeated, so a full table only costs time;
 * a repeat is answered by the digest that its first ask brought about, or waits for it. */
#include "coordinator/fetch.h"

#include <assert.h>

#include "coordinator/checkpoint_table.h"
#include "coordinator/copy.h"
#include "coordinator/fetch_table.h"
#include "coordinator/order.h"
#include "coordinator/place.h"
#include "coordinator/restore_choose.h"
#include "coordinator/run.h"
#include "coordinator/seat.h"
#include "coordinator/shard.h"
#include "coordinator/update.h"
#include "coordinator/verdict.h"

static enum ckpt_status find(struct coordinator *c, const struct run *run,
                             const struct message_load_ask *ask, struct checkpoint **k_out,
                             char *reason)
{
    struct checkpoint *k = NULL;
    if (ask->step == CKPT_STEP_LATEST) {
        k = run->has_latest ? checkpoint_find_step(c, run, run->latest) : NULL;
    } else {
        k = checkpoint_find_step(c, run, ask->step);
    }
    if (k == NULL || checkpoint_is_open(k)) {
        say(reason, ask->step == CKPT_STEP_LATEST ? "the run has no consistent checkpoint"
                                                  : "the step is not a consistent checkpoint");
        return ask->step == CKPT_STEP_LATEST ? CKPT_ERR_NO_CHECKPOINT : CKPT_ERR_NOT_FOUND;
    }
    if (ask->rank >= k->world) {
        say(reason, "rank %u, but the checkpoint has world %u", ask->rank, k->world);
        return CKPT_ERR_RANK;
    }
    *k_out = k;
    return CKPT_OK;
}

/* A digest was made since the ask: the answer again, where the copy is still the same. */
static bool answer_again(struct coordinator *c, struct coordinator_update *u, const struct shard *s,
                         const struct copy *copy, struct fetch *f)
{
    f->digested = f->digested && copy != NULL && copy->state == COPY_VERIFIED && !copy->bad &&
                  copy->generation == f->generation && copy->order_kind != ORDER_LET_GO;
    if (f->digested) {
        send_verdict(c, u, f->member, &f->ask, CKPT_OK, "", s);
    }
    fetch_set_told(c, f, f->digested);
    return f->digested;
}

void on_fetch_ask(struct coordinator *c, struct coordinator_update *u, uint32_t member,
                  const struct message_load_ask *ask)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    struct checkpoint *k = NULL;
    enum ckpt_status status = find(c, run_find(c, &ask->run), ask, &k, reason);
    if (status != CKPT_OK) {
        send_verdict(c, u, member, ask, status, reason, NULL);
        return;
    }
    struct shard *s = shard_find(c, k, ask->rank);
    assert(s != NULL);
    struct copy *copy = copy_find(s, member);
    bool is_new;
    struct fetch *f = fetch_remember(c, s, member, ask, &is_new);
    if (f == NULL || answer_again(c, u, s, copy, f)) {
        return; /* without a place it asks again: nothing is done for whom nobody would answer */
    }
    if (copy != NULL && copy->order_kind == ORDER_LET_GO) {
        order_stay(c, u, s, copy);
    } else if (copy != NULL && copy->order_kind != ORDER_NONE && is_new) {
        order_renew(c, u, s, copy); /* the answer under way may be of before the ask */
    } else if (copy != NULL && copy->order_kind != ORDER_NONE) {
        if (order_is_stale(c, copy)) {
            order_resend(c, u, s, copy);
        }
    } else if (copy != NULL && copy->state == COPY_VERIFIED && !copy->bad) {
        order_verify(c, u, s, copy);
    } else if (copy == NULL || copy->state != COPY_HELD) {
        struct copy *source = shard_source(c, s, member);
        char nodes[CKPT_REASON_MAX + 1];
        if (source != NULL) {
            (void)order_pull(c, u, s, member, source, PULL_FETCH);
        } else if (shard_is_away(c, s, nodes)) {
            say(reason, "the copies of rank %u's shard are away, on node %.150s", ask->rank, nodes);
            send_waits(c, u, member, ask, reason);
        } else if (c->now_ms > c->started_ms + c->config.restore_settle_ms) {
            send_verdict(c, u, member, ask, CKPT_ERR_LOST, "no good copy of the shard is reachable",
                         NULL);
        }
    }
}

void fetch_copy_verified(struct coordinator *c, struct coordinator_update *u, struct shard *s,
                         const struct copy *copy)
{
    struct fetch *f = fetch_first(c, s, copy->member);
    for (; f != NULL; f = fetch_next(c, f, s)) {
        f->digested = true;
        f->generation = copy->generation;
        if (!f->told && update_has_room(u, 1)) {
            send_verdict(c, u, f->member, &f->ask, CKPT_OK, "", s);
            fetch_set_told(c, f, true);
        }
    }
}

/* One of a start that nothing is known of, and that cannot become consistent any more: its save was
 * given up, or it was retired since. */
static void tell_forgotten(const struct run *run, const struct message_checkpoint_ask *ask,
                           struct message_checkpoint_info *info)
{
    if (run == NULL || ask->attempt == 0 || ask->step == CKPT_STEP_LATEST) {
        return;
    }
    if (ask->attempt < run->attempt) {
        info->state = CHECKPOINT_ABORTED;
        info->outcome = CKPT_ERR_ATTEMPT;
        say(info->reason, "given up: attempt %u of the run has begun", run->attempt);
    } else if (run->has_latest && ask->step <= run->latest) {
        info->state = CHECKPOINT_RETIRED;
        info->outcome = CKPT_ERR_RETIRED;
        say(info->reason, "retired or given up: step %llu is consistent",
            (unsigned long long)run->latest);
    }
    info->step = ask->step;
    info->attempt = ask->attempt;
}

void on_checkpoint_ask(struct coordinator *c, struct coordinator_update *u, uint32_t link,
                       const struct message_checkpoint_ask *ask)
{
    struct message *m = update_message(c, u, link, MESSAGE_CHECKPOINT_INFO);
    struct message_checkpoint_info *info = &m->checkpoint_info;
    struct run *run = run_find(c, &ask->run);
    info->run = ask->run;
    info->reader = ask->reader;
    info->run_attempt = run != NULL ? run->attempt : 0;
    info->run_live = run != NULL ? run_live_seats(c, run) : 0;
    struct checkpoint *k = NULL;
    if (run != NULL && ask->step != CKPT_STEP_LATEST && ask->attempt != 0) {
        k = checkpoint_find(c, run, ask->attempt, ask->step);
    } else if (run != NULL && ask->step != CKPT_STEP_LATEST) {
        k = checkpoint_find_step(c, run, ask->step);
    } else if (run != NULL && run->has_latest) {
        k = checkpoint_find_step(c, run, run->latest);
    }
    if (k == NULL) {
        info->status = ask->step == CKPT_STEP_LATEST ? CKPT_ERR_NO_CHECKPOINT : CKPT_ERR_NOT_FOUND;
        say(info->reason, "%s", ckpt_status_text(info->status));
        tell_forgotten(run, ask, info);
        return;
    }
    info->status = k->state == CHECKPOINT_QUARANTINED ? CKPT_ERR_QUARANTINED
                   : checkpoint_is_open(k)            ? CKPT_ERR_NOT_FOUND
                                                      : CKPT_OK;
    info->state = (enum checkpoint_state)k->state;
    info->attempt = k->attempt;
    info->step = k->step;
    info->world = k->world;
    info->copies = k->copies;
    info->bytes = k->bytes;
    info->outcome = k->state == CHECKPOINT_ABORTED ? k->status : CKPT_OK;
    say(info->reason, "%s", k->reason);
}
