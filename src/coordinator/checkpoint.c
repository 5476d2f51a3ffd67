/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a checkpoint.
 *
 *   OPEN --every rank sealed--> VERIFYING --every shard has its copies--> CONSISTENT --> RETIRED
 *     \____________________________/                                       |    ^
 *                   |                                                      v    |
 *                ABORTED                                               QUARANTINED --> RETIRED
 *
 * What it takes to become consistent is in commit.c, the way back out of quarantine in mark.c. */
#include "coordinator/checkpoint.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/reason.h"
#include "coordinator/announce.h"
#include "coordinator/checkpoint_table.h"
#include "coordinator/note.h"
#include "coordinator/persist_state.h"
#include "coordinator/seat.h"
#include "coordinator/shard.h"
#include "coordinator/update.h"

static const unsigned moves[] = {
    [CHECKPOINT_OPEN] = TO(CHECKPOINT_VERIFYING) | TO(CHECKPOINT_ABORTED),
    [CHECKPOINT_VERIFYING] = TO(CHECKPOINT_CONSISTENT) | TO(CHECKPOINT_ABORTED),
    [CHECKPOINT_CONSISTENT] = TO(CHECKPOINT_QUARANTINED) | TO(CHECKPOINT_RETIRED),
    [CHECKPOINT_QUARANTINED] = TO(CHECKPOINT_CONSISTENT) | TO(CHECKPOINT_RETIRED),
};

void coordinator_checkpoint_move(struct coordinator *c, struct checkpoint *k,
                                 enum checkpoint_state state)
{
    assert(k->used);
    assert(MAY_MOVE(moves, k->state, state));
    coordinator_checkpoint_set_state(c, k, state);
}

void coordinator_checkpoint_verifying(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    coordinator_checkpoint_move(c, k, CHECKPOINT_VERIFYING);
}

static uint32_t duration_ms(uint64_t from_ms, uint64_t to_ms)
{
    uint64_t ms = to_ms > from_ms ? to_ms - from_ms : 0;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void coordinator_checkpoint_time_seal(const struct coordinator *c, struct checkpoint *k,
                                      uint32_t member)
{
    assert(k->used);
    assert(member < c->member_count);
    if (k->sealed == 0) {
        k->opened_ms = c->now_ms;
        k->is_timed = true;
    }
    k->is_timed = k->is_timed && c->members[member].inventory_told;
    k->sealed_ms = c->now_ms;
}

void coordinator_checkpoint_time_commit(struct coordinator *c, const struct run *run,
                                        struct checkpoint *k, uint64_t wall_ms)
{
    assert(run->used);
    assert(k->used);
    const struct checkpoint *before =
        run->has_latest ? coordinator_checkpoint_find_step(c, run, run->latest) : NULL;
    k->wall_ms = wall_ms;
    if (wall_ms != 0 && before != NULL && before->wall_ms != 0) {
        k->interval_ms = duration_ms(before->wall_ms, wall_ms);
    }
    if (k->is_timed) {
        k->took_ms = duration_ms(k->opened_ms, c->now_ms);
        k->copying_ms = duration_ms(k->sealed_ms, c->now_ms);
    }
}

void coordinator_run_refresh_latest(struct coordinator *c, struct run *run)
{
    assert(run->used);
    run->has_latest = false;
    run->latest = 0;
    index_set_add(&c->runs_keeping, run_index(c, run));
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        if (c->checkpoints[i].state == CHECKPOINT_CONSISTENT) {
            run->has_latest = true;
            run->latest = c->checkpoints[i].step;
            return; /* newest first */
        }
    }
}

void coordinator_run_pass_over(struct coordinator *c, const struct run *run, uint32_t attempt,
                               uint64_t step)
{
    assert(run->used);
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        if (k->state == CHECKPOINT_QUARANTINED && (k->step > step || k->attempt < attempt)) {
            k->passed_over = true;
        }
    }
}

/* What a restart or a command ends is as it should be; what differs is for a person. */
static enum event_id event_of_abort(enum ckpt_status status)
{
    switch ((int)status) {
    case CKPT_ERR_ATTEMPT:
    case CKPT_ERR_RETIRED:
        return EVENT_checkpoint_superseded;
    case CKPT_ERR_DIGEST:
        return EVENT_checkpoint_corrupt;
    case CKPT_ERR_DIVERGED:
        return EVENT_ranks_diverged;
    default:
        return EVENT_checkpoint_aborted;
    }
}

void coordinator_checkpoint_abort(struct coordinator *c, struct checkpoint *k,
                                  enum ckpt_status status, const char *format, ...)
{
    assert(k->used);
    assert(status != CKPT_OK);
    coordinator_checkpoint_move(c, k, CHECKPOINT_ABORTED);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(k->reason, sizeof k->reason, format, arguments);
    va_end(arguments);
    k->status = status;
    coordinator_checkpoint_broadcast(c, k, CHECKPOINT_ABORTED);
    coordinator_note(c, event_of_abort(status), about_checkpoint(c, k), "%s", k->reason);
    coordinator_checkpoint_free_shards(c, k);
}

void coordinator_checkpoint_retire(struct coordinator *c, struct checkpoint *k, const char *reason)
{
    assert(k->used);
    struct run *run = &c->runs[k->run];
    assert(checkpoint_is_committed(k));
    coordinator_checkpoint_record(c, k, RECORD_RETIRED);
    coordinator_checkpoint_broadcast(c, k, CHECKPOINT_RETIRED);
    coordinator_note(c, EVENT_checkpoint_retired, about_checkpoint(c, k), "%s", reason);
    coordinator_checkpoint_move(c, k, CHECKPOINT_RETIRED);
    coordinator_checkpoint_remove(c, k);
    coordinator_run_refresh_latest(c, run);
}

void coordinator_checkpoint_withdraw(struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    struct run *run = &c->runs[k->run];
    bool known = run->withdrawn_attempt == run->attempt && k->step <= run->withdrawn_step;
    if (known || k->attempt < run->attempt || (run->has_latest && k->step < run->latest)) {
        return;
    }
    struct coordinator_record *record = coordinator_update_record(c, RECORD_WITHDRAWN);
    record->run = run->key;
    record->attempt = k->attempt;
    record->step = k->step;
    run->withdrawn_attempt = k->attempt;
    run->withdrawn_step = k->step;
}

void coordinator_checkpoint_quarantine(struct coordinator *c, struct checkpoint *k,
                                       const char *reason)
{
    assert(k->used);
    coordinator_checkpoint_withdraw(c, k);
    struct coordinator_record *record = coordinator_checkpoint_record(c, k, RECORD_QUARANTINED);
    reason_set(record->reason, "%s", reason);
    coordinator_persist_give_up(c, k);
    coordinator_checkpoint_move(c, k, CHECKPOINT_QUARANTINED);
    reason_set(k->reason, "%s", reason);
    coordinator_checkpoint_broadcast(c, k, CHECKPOINT_QUARANTINED);
    coordinator_note(
        c, k->mark == MARK_POISONED ? EVENT_checkpoint_poisoned : EVENT_checkpoint_quarantined,
        about_checkpoint(c, k), "%s", reason);
    coordinator_run_refresh_latest(c, &c->runs[k->run]);
}

bool coordinator_checkpoint_is_committed_now(const struct coordinator *c,
                                             const struct checkpoint *k)
{
    assert(k->used);
    const struct run_key *run = &c->runs[k->run].key;
    for (uint32_t i = 0; i < c->update->record_count; i++) {
        const struct coordinator_record *record = &c->update->records[i];
        if (record->type == RECORD_CONSISTENT && record->step == k->step &&
            record->attempt == k->attempt && run_key_equal(&record->run, run)) {
            return true;
        }
    }
    return false;
}

void coordinator_run_gone_on(struct coordinator *c, const struct run *run,
                             const struct shard_key *at, uint32_t member)
{
    assert(run->used);
    assert(member < c->member_count);
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        if (checkpoint_is_open(k) && k->step < at->step && k->attempt == at->attempt &&
            at->rank < k->world && coordinator_shard_find(c, k, at->rank) == NULL &&
            c->members[member].inventory_told && coordinator_update_has_room(c, 4)) {
            coordinator_checkpoint_abort(c, k, CKPT_ERR_ABORTED, "rank %u has gone on to step %llu",
                                         at->rank, (unsigned long long)at->step);
        }
    }
}

void coordinator_run_raise_attempt(struct coordinator *c, struct run *run, uint32_t attempt,
                                   bool keep_verifying, const struct nonce *start)
{
    assert(run->used);
    assert(attempt >= run->attempt);
    coordinator_start_retire(c, run);
    struct coordinator_record *record = coordinator_update_record(c, RECORD_ATTEMPT);
    record->run = run->key;
    record->attempt = attempt;
    coordinator_record_name(record, start);
    run->start_nonce = *start;
    if (attempt == run->attempt) {
        return; /* it was known without its start's name */
    }
    run->attempt = attempt;
    run->attempt_ms = c->now_ms;
    run->begun = false;
    run->chosen = false;
    run->world = 0;
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        bool keep = keep_verifying && k->state == CHECKPOINT_VERIFYING;
        if (checkpoint_is_open(k) && !keep && coordinator_update_has_room(c, 4)) {
            coordinator_checkpoint_abort(c, k, CKPT_ERR_ATTEMPT, "attempt %u of the run has begun",
                                         attempt);
        }
    }
}
