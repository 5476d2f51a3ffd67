/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint becomes consistent, and what that makes superfluous is retired. */
#include "coordinator/commit.h"

#include <assert.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/announce.h"
#include "coordinator/checkpoint.h"
#include "coordinator/checkpoint_table.h"
#include "coordinator/drain.h"
#include "coordinator/home.h"
#include "coordinator/linger.h"
#include "coordinator/note.h"
#include "coordinator/persist_state.h"
#include "coordinator/queue.h"
#include "coordinator/redundancy.h"
#include "coordinator/replica.h"
#include "coordinator/restore_state.h"
#include "coordinator/seat.h"
#include "coordinator/shard.h"
#include "coordinator/surplus.h"
#include "coordinator/trouble.h"
#include "coordinator/update.h"

/* Retires what retention no longer keeps and what can't be consistent any more. Bounded by the room
 * for records; the tick goes on with the rest. What has to wait, and whatever changes a state,
 * leaves the run to be looked at again; otherwise it is not. */
static void retention(struct coordinator *c, struct run *run)
{
    assert(run->used);
    uint32_t kept = 0;
    index_set_remove(&c->runs_keeping, run_index(c, run));
    for (uint32_t i = run->first_checkpoint; i != NONE;) {
        struct checkpoint *k = &c->checkpoints[i];
        i = k->next_in_run;
        if (c->update->record_count == COORDINATOR_RECORDS_MAX ||
            !coordinator_update_has_room(c, 1)) {
            c->update->again = true;
            index_set_add(&c->runs_keeping, run_index(c, run));
            return;
        }
        if (k->state == CHECKPOINT_CONSISTENT) {
            kept++;
            bool surplus = kept > c->config.keep || PLANTED_BUG(RETIRE_NEWEST);
            if (surplus && coordinator_checkpoint_is_committed_now(c, k)) {
                c->update->again = true;
                index_set_add(&c->runs_keeping, run_index(c, run));
            } else if (surplus &&
                       (coordinator_restore_uses(c, k) || coordinator_persist_holds(c, k))) {
                index_set_add(&c->runs_keeping, run_index(c, run));
            } else if (surplus) {
                coordinator_checkpoint_retire(c, k, "newer checkpoints are kept in its place");
            }
        } else if (k->state == CHECKPOINT_QUARANTINED && kept >= c->config.keep) {
            coordinator_checkpoint_retire(c, k, "quarantined, and older than what is kept");
        } else if (checkpoint_is_open(k) && run->has_latest && k->step < run->latest &&
                   !PLANTED_BUG(LATEST_BACK)) {
            coordinator_checkpoint_abort(c, k, CKPT_ERR_ABORTED,
                                         "step %llu became consistent first",
                                         (unsigned long long)run->latest);
        } else if (k->state == CHECKPOINT_ABORTED && run->has_latest && k->step < run->latest) {
            coordinator_checkpoint_remove(c, k);
        }
    }
}

/* Who holds a save that has come to its end was not short of room for it. */
static void holders_are_not_short(struct coordinator *c, const struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        if (s->copies[i].member != NONE) {
            c->members[s->copies[i].member].short_ms = 0;
        }
    }
}

static void commit(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used && k->state == CHECKPOINT_VERIFYING);
    struct run *run = &c->runs[k->run];
    assert(k->shards == k->world && k->sealed == k->world);
    coordinator_checkpoint_time_commit(c, run, k, c->wall_ms);
    struct coordinator_record *record = coordinator_checkpoint_record(c, k, RECORD_CONSISTENT);
    record->wall_ms = k->wall_ms;
    record->key = run->digest_key;
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        coordinator_shard_set_homes_as_held(c, &c->shards[i], NULL);
        holders_are_not_short(c, &c->shards[i]);
        if (coordinator_shard_is_pulled(&c->shards[i]) ||
            coordinator_shard_surplus(c, &c->shards[i]) != NULL || k->makes_do) {
            coordinator_queue_push(
                c, &c->shards[i]); /* what was ordered while a copy seemed to be gone */
        }
    }
    run->active_ms = c->now_ms;
    coordinator_checkpoint_move(c, k, CHECKPOINT_CONSISTENT);
    coordinator_trouble_is_over(c, TROUBLE_SAVE, "", &run->key);
    k->status = CKPT_OK;
    k->reason[0] = '\0';
    coordinator_run_pass_over(c, run, k->attempt, UINT64_MAX);
    coordinator_run_refresh_latest(c, run);
    assert(run->latest == k->step);
    coordinator_checkpoint_broadcast(c, k, CHECKPOINT_CONSISTENT);
    coordinator_note(c, EVENT_commit, about_checkpoint(c, k), "world %u, %u copies, %llu bytes",
                     k->world, k->copies, (unsigned long long)k->bytes);
    retention(c, run);
}

/* Whether the commit rule holds, read from the copies themselves and not from the counters. */
static bool commit_is_due(const struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    for (uint32_t rank = 0; rank < k->world; rank++) {
        const struct shard *s = coordinator_shard_find(c, k, rank);
        if ((s == NULL || !s->sealed || !coordinator_redundancy_is_met(c, s)) &&
            !PLANTED_BUG(MISSING_RANK)) {
            return false;
        }
    }
    return true;
}

/* While the newest attempt has neither chosen the step of a load nor saved anything, what the
 * earlier one had fully sealed may still become consistent. */
static bool attempt_may_commit(const struct coordinator *c, const struct run *run,
                               const struct checkpoint *k)
{
    assert(run->used);
    return k->attempt == run->attempt ||
           (k->state == CHECKPOINT_VERIFYING && !run->chosen && !coordinator_run_has_begun(c, run));
}

void coordinator_commit_if_due(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    const struct run *run = &c->runs[k->run];
    uint32_t missing = PLANTED_BUG(MISSING_RANK) && k->world > 1;
    if (k->state != CHECKPOINT_VERIFYING || k->ready + missing < k->world ||
        !attempt_may_commit(c, run, k) ||
        (run->has_latest && k->step <= run->latest && !PLANTED_BUG(LATEST_BACK))) {
        return;
    }
    if (c->update->record_count == COORDINATOR_RECORDS_MAX || !coordinator_update_has_room(c, 1)) {
        c->update->again = true; /* the tick commits it */
        return;
    }
    if (k->in_shares && coordinator_replica_refuses(c, k)) {
        return;
    }
    if (PLANTED_BUG(TELL_BEFORE_DURABLE) && k->status == CKPT_OK) {
        k->status = CKPT_ERR_BUSY;
        coordinator_checkpoint_broadcast(c, k, CHECKPOINT_CONSISTENT);
        return;
    }
    bool due = commit_is_due(c, k);
    assert(due);
    if (due) {
        commit(c, k);
    }
}

/* Nobody seals any more when the job has ended: what is staged becomes consistent soon or never. */
static uint64_t progress_due_ms(const struct coordinator *c, const struct run *run,
                                const struct checkpoint *k)
{
    assert(run->used);
    assert(k->used);
    uint64_t due_ms = k->progress_ms + c->config.save_timeout_ms;
    if (PLANTED_BUG(OPEN_FOR_EVER)) {
        return UINT64_MAX;
    }
    if (coordinator_run_lingers(c, run) && k->attempt <= run->job.attempt) {
        uint64_t since_ms = k->progress_ms > run->job.ended_ms ? k->progress_ms : run->job.ended_ms;
        uint64_t ended_ms = since_ms + c->config.ended_timeout_ms;
        due_ms = ended_ms < due_ms ? ended_ms : due_ms;
    }
    return due_ms;
}

/* Copies apart from nodes that drain are still to be made, and have been for long. */
static bool is_short_of_others(const struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    return c->drains > 0 && k->state == CHECKPOINT_VERIFYING &&
           c->now_ms >= k->progress_ms + c->config.repair_after_ms;
}

void coordinator_checkpoints_tick(struct coordinator *c)
{
    for (uint32_t i = 0; (i = index_set_from(&c->checkpoints_open, i)) != NONE; i++) {
        struct checkpoint *k = &c->checkpoints[i];
        if (c->update->record_count + 2 > COORDINATOR_RECORDS_MAX ||
            !coordinator_update_has_room(c, 2)) {
            c->update->again = true;
            return;
        }
        const struct run *run = &c->runs[k->run];
        if (!attempt_may_commit(c, run, k)) {
            coordinator_checkpoint_abort(c, k, CKPT_ERR_ATTEMPT, "attempt %u of the run has begun",
                                         run->attempt);
        } else if (is_short_of_others(c, k) && coordinator_drain_makes_do(c, k)) {
            coordinator_commit_if_due(c, k);
        } else if (c->now_ms >= progress_due_ms(c, run, k)) {
            char why[CKPT_REASON_MAX + 1];
            reason_set(why, "%s", k->reason);
            coordinator_checkpoint_abort(
                c, k, k->status != CKPT_OK ? k->status : CKPT_ERR_ABORTED,
                "no progress for %llu ms%s: %u of %u ranks sealed, %u with all copies%s%.120s",
                (unsigned long long)(c->now_ms - k->progress_ms),
                coordinator_run_lingers(c, run) ? " and its job has ended" : "", k->sealed,
                k->world, k->ready, why[0] != '\0' ? "; " : "", why);
        } else {
            coordinator_trouble_of_save(c, k);
            coordinator_commit_if_due(c, k);
        }
    }
    for (uint32_t i = 0; (i = index_set_from(&c->runs_keeping, i)) != NONE; i++) {
        if (c->runs[i].has_latest) {
            retention(c, &c->runs[i]);
        } else {
            index_set_remove(&c->runs_keeping, i);
        }
    }
}
