/* SPDX-License-Identifier: Apache-2.0 */
/* Reading any rank's shard, outside of any verdict: resharding, serving, export.
 *
 * The asking agent gets a copy of its own (cached: it never counts) or digests the one it has; when
 * that digest has come in, the answer goes out. Asks are repeated, so a full table only costs time;
 * a repeat is answered by the digest that its first ask brought about, or waits for it. */
#include "coordinator/fetch.h"

#include <assert.h>

#include "base/reason.h"
#include "coordinator/checkpoint_table.h"
#include "coordinator/copy.h"
#include "coordinator/fetch_table.h"
#include "coordinator/order.h"
#include "coordinator/persist_rule.h"
#include "coordinator/place.h"
#include "coordinator/range.h"
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
        k = run->has_latest ? coordinator_checkpoint_find_step(c, run, run->latest) : NULL;
    } else {
        k = coordinator_checkpoint_find_step(c, run, ask->step);
    }
    if (k == NULL || checkpoint_is_open(k)) {
        reason_set(reason, ask->step == CKPT_STEP_LATEST
                               ? "the run has no consistent checkpoint"
                               : "the step is not a consistent checkpoint");
        return ask->step == CKPT_STEP_LATEST ? CKPT_ERR_NO_CHECKPOINT : CKPT_ERR_NOT_FOUND;
    }
    if (ask->rank >= k->world) {
        reason_set(reason, "rank %u, but the checkpoint has world %u", ask->rank, k->world);
        return CKPT_ERR_RANK;
    }
    *k_out = k;
    return CKPT_OK;
}

/* There is no good copy now, for whole or for a part of it: the ask comes again, for as long as
 * there may be one later. */
static void no_source(struct coordinator *c, uint32_t member, const struct message_load_ask *ask,
                      const struct shard *s)
{
    assert(s->used);
    char reason[CKPT_REASON_MAX + 1];
    char nodes[CKPT_REASON_MAX + 1];
    if (coordinator_shard_is_away(c, s, nodes)) {
        reason_set(reason, "the copies of rank %u's shard are away, on node %.150s", ask->rank,
                   nodes);
        coordinator_send_waits(c, member, ask, reason);
    } else if (c->now_ms > c->started_ms + c->config.restore_settle_ms) {
        coordinator_send_verdict(c, member, ask, CKPT_ERR_LOST,
                                 "no good copy of the shard is reachable", NULL);
    }
}

/* A digest was made since the ask: the answer again, where the copy is still the same. */
static bool answer_again(struct coordinator *c, const struct shard *s, const struct copy *copy,
                         struct fetch *f)
{
    assert(f->member < c->member_count);
    assert(s->used);
    f->digested = f->digested && copy != NULL && copy->state == COPY_VERIFIED && !copy->bad &&
                  copy->generation == f->generation && copy->order_kind != ORDER_LET_GO;
    if (f->digested) {
        coordinator_send_verdict(c, f->member, &f->ask, CKPT_OK, "", s);
    }
    coordinator_fetch_set_told(c, f, f->digested);
    return f->digested;
}

void coordinator_on_fetch_ask(struct coordinator *c, uint32_t member,
                              const struct message_load_ask *ask)
{
    assert(member < c->member_count);
    char reason[CKPT_REASON_MAX + 1] = "";
    struct checkpoint *k = NULL;
    enum ckpt_status status = find(c, coordinator_run_find(c, &ask->run), ask, &k, reason);
    if (status != CKPT_OK) {
        coordinator_send_verdict(c, member, ask, status, reason, NULL);
        return;
    }
    struct shard *s = coordinator_shard_find(c, k, ask->rank);
    assert(s != NULL);
    if (ask->range_bytes > 0) {
        if (!coordinator_range_answer(c, member, ask, s)) {
            no_source(c, member, ask, s);
        }
        return;
    }
    struct copy *copy = coordinator_copy_find(s, member);
    bool is_new;
    struct fetch *f = coordinator_fetch_remember(c, s, member, ask, &is_new);
    if (f == NULL || answer_again(c, s, copy, f)) {
        return; /* without a place it asks again: nothing is done for whom nobody would answer */
    }
    if (copy != NULL && copy->order_kind == ORDER_LET_GO) {
        coordinator_order_stay(c, s, copy);
    } else if (copy != NULL && copy->order_kind != ORDER_NONE && is_new) {
        coordinator_order_renew(c, s, copy); /* the answer under way may be of before the ask */
    } else if (copy != NULL && copy->order_kind != ORDER_NONE) {
        if (coordinator_order_is_stale(c, copy)) {
            coordinator_order_resend(c, s, copy);
        }
    } else if (copy != NULL && copy->state == COPY_VERIFIED && !copy->bad) {
        coordinator_order_verify(c, s, copy);
    } else if (copy == NULL || copy->state != COPY_ADOPTED) {
        struct source source = coordinator_shard_source(c, s, member);
        if (source.kind != SOURCE_NONE) {
            (void)coordinator_order_pull(c, s, member, source, PULL_FETCH);
        } else {
            no_source(c, member, ask, s);
        }
    }
}

void coordinator_fetch_copy_verified(struct coordinator *c, struct shard *s,
                                     const struct copy *copy)
{
    assert(s->used);
    assert(copy_is_of(s, copy));
    struct fetch *f = coordinator_fetch_first(c, s, copy->member);
    for (; f != NULL; f = coordinator_fetch_next(c, f, s)) {
        f->digested = true;
        f->generation = copy->generation;
        if (!f->told && coordinator_update_has_room(c, 1)) {
            coordinator_send_verdict(c, f->member, &f->ask, CKPT_OK, "", s);
            coordinator_fetch_set_told(c, f, true);
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
        reason_set(info->reason, "given up: attempt %u of the run has begun", run->attempt);
    } else if (run->has_latest && ask->step <= run->latest) {
        info->state = CHECKPOINT_RETIRED;
        info->outcome = CKPT_ERR_RETIRED;
        reason_set(info->reason, "retired or given up: step %llu is consistent",
                   (unsigned long long)run->latest);
    }
    info->step = ask->step;
    info->attempt = ask->attempt;
}

static void tell_tier(const struct coordinator *c, const struct run *run,
                      const struct message_checkpoint_ask *ask, const struct checkpoint *k,
                      struct message_checkpoint_info *info)
{
    bool is_named = k != NULL || (ask->attempt != 0 && ask->step != CKPT_STEP_LATEST);
    info->tier = CHECKPOINT_TIER_AWAITED; /* of what nothing is known */
    if (run == NULL) {
        return;
    }
    if (is_named) {
        info->tier = coordinator_persist_word(c, run, k != NULL ? k->attempt : ask->attempt,
                                              k != NULL ? k->step : ask->step, k);
    }
    info->has_persisted = run->has_persisted;
    info->persisted_attempt = run->persisted_attempt;
    info->persisted_step = run->persisted_step;
}

void coordinator_on_checkpoint_ask(struct coordinator *c, uint32_t link,
                                   const struct message_checkpoint_ask *ask)
{
    struct message *m = coordinator_update_message(c, link, MESSAGE_CHECKPOINT_INFO);
    struct message_checkpoint_info *info = &m->checkpoint_info;
    struct run *run = coordinator_run_find(c, &ask->run);
    info->run = ask->run;
    info->reader = ask->reader;
    info->run_attempt = run != NULL ? run->attempt : 0;
    info->run_live = run != NULL ? coordinator_run_live_seats(c, run) : 0;
    struct checkpoint *k = NULL;
    if (run != NULL && ask->step != CKPT_STEP_LATEST && ask->attempt != 0) {
        k = coordinator_checkpoint_find(c, run, ask->attempt, ask->step);
    } else if (run != NULL && ask->step != CKPT_STEP_LATEST) {
        k = coordinator_checkpoint_find_step(c, run, ask->step);
    } else if (run != NULL && run->has_latest) {
        k = coordinator_checkpoint_find_step(c, run, run->latest);
    }
    tell_tier(c, run, ask, k, info);
    if (k == NULL) {
        info->status = ask->step == CKPT_STEP_LATEST ? CKPT_ERR_NO_CHECKPOINT : CKPT_ERR_NOT_FOUND;
        reason_set(info->reason, "%s", ckpt_status_text(info->status));
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
    reason_set(info->reason, "%s", k->reason);
}
