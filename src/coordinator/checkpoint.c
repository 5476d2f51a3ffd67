/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a checkpoint.
 *
 *   OPEN --every rank sealed--> VERIFYING --every shard has its copies--> CONSISTENT --> RETIRED
 *     \____________________________/   \                                      |
 *                   |                   ABORTED                          QUARANTINED --> RETIRED
 *                ABORTED
 */
#include "coordinator/drain.h"
#include "coordinator/state.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/planted_bug.h"

static const bool allowed[CHECKPOINT_RETIRED + 1][CHECKPOINT_RETIRED + 1] = {
    [CHECKPOINT_OPEN] = {[CHECKPOINT_VERIFYING] = true, [CHECKPOINT_ABORTED] = true},
    [CHECKPOINT_VERIFYING] = {[CHECKPOINT_CONSISTENT] = true, [CHECKPOINT_ABORTED] = true},
    [CHECKPOINT_CONSISTENT] = {[CHECKPOINT_QUARANTINED] = true, [CHECKPOINT_RETIRED] = true},
    [CHECKPOINT_QUARANTINED] = {[CHECKPOINT_RETIRED] = true},
};

static void move(struct coordinator *c, struct checkpoint *k, enum checkpoint_state state)
{
    assert(allowed[k->state][state]);
    checkpoint_set_state(c, k, state);
}

bool checkpoint_is_open(const struct checkpoint *k)
{
    return k->state == CHECKPOINT_OPEN || k->state == CHECKPOINT_VERIFYING;
}

bool checkpoint_is_committed(const struct checkpoint *k)
{
    return k->state == CHECKPOINT_CONSISTENT || k->state == CHECKPOINT_QUARANTINED;
}

void checkpoint_verifying(struct coordinator *c, struct checkpoint *k)
{
    move(c, k, CHECKPOINT_VERIFYING);
}

static void broadcast(struct coordinator *c, struct coordinator_update *u,
                      const struct checkpoint *k, enum checkpoint_state state)
{
    struct message *m = update_message(c, u, COORDINATOR_LINK_ALL, MESSAGE_CHECKPOINT_STATE);
    m->checkpoint_state.run = c->runs[k->run].key;
    m->checkpoint_state.attempt = k->attempt;
    m->checkpoint_state.step = k->step;
    m->checkpoint_state.world = k->world;
    m->checkpoint_state.state = state;
    m->checkpoint_state.status = state == CHECKPOINT_ABORTED ? k->status : CKPT_OK;
    say(m->checkpoint_state.reason, "%s", state == CHECKPOINT_ABORTED ? k->reason : "");
}

/* The agents of its ranks put it into their logs; nothing else comes of it. */
void checkpoint_tell_waiting(struct coordinator *c, struct coordinator_update *u,
                             const struct checkpoint *k)
{
    struct message *m = update_message(c, u, COORDINATOR_LINK_ALL, MESSAGE_CHECKPOINT_STATE);
    m->checkpoint_state.run = c->runs[k->run].key;
    m->checkpoint_state.attempt = k->attempt;
    m->checkpoint_state.step = k->step;
    m->checkpoint_state.world = k->world;
    m->checkpoint_state.state = (enum checkpoint_state)k->state;
    m->checkpoint_state.status = k->status;
    say(m->checkpoint_state.reason, "%u of %u ranks sealed, %u with all copies%s%.160s", k->sealed,
        k->world, k->ready, k->reason[0] != '\0' ? "; " : "", k->reason);
}

static struct coordinator_record *record_of(struct coordinator *c, struct coordinator_update *u,
                                            const struct checkpoint *k,
                                            enum coordinator_record_type type)
{
    struct coordinator_record *record = update_record(c, u, type);
    record->run = c->runs[k->run].key;
    record->attempt = k->attempt;
    record->step = k->step;
    record->world = k->world;
    record->copies = k->copies;
    record->bytes = k->bytes;
    return record;
}

static struct machine_note *note_of(struct coordinator *c, struct coordinator_update *u,
                                    const struct checkpoint *k, enum event_id event)
{
    struct machine_note *note = update_note(u, event);
    note->run = c->runs[k->run].key;
    note->attempt = k->attempt;
    note->step = k->step;
    return note;
}

void run_refresh_latest(struct coordinator *c, struct run *run)
{
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

void checkpoint_abort(struct coordinator *c, struct coordinator_update *u, struct checkpoint *k,
                      enum ckpt_status status, const char *format, ...)
{
    assert(status != CKPT_OK);
    move(c, k, CHECKPOINT_ABORTED);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(k->reason, sizeof k->reason, format, arguments);
    va_end(arguments);
    k->status = status;
    broadcast(c, u, k, CHECKPOINT_ABORTED);
    struct machine_note *note = note_of(c, u, k, event_of_abort(status));
    say(note->text, "%s", k->reason);
    checkpoint_free_shards(c, k);
}

void checkpoint_retire(struct coordinator *c, struct coordinator_update *u, struct checkpoint *k,
                       const char *reason)
{
    struct run *run = &c->runs[k->run];
    assert(checkpoint_is_committed(k));
    record_of(c, u, k, RECORD_RETIRED);
    broadcast(c, u, k, CHECKPOINT_RETIRED);
    struct machine_note *note = note_of(c, u, k, EVENT_checkpoint_retired);
    say(note->text, "%s", reason);
    move(c, k, CHECKPOINT_RETIRED);
    checkpoint_remove(c, k);
    run_refresh_latest(c, run);
}

/* Before k is retired by command, or quarantined: `latest` moves back. Reports of it and of what
 * was retired before it may still be on their way, and a coordinator that starts anew hears of
 * copies again: on record, so that nothing brings them back. What earlier attempts saved does not
 * come back anyway, nor does what lies below `latest`. */
void checkpoint_withdraw(struct coordinator *c, struct coordinator_update *u,
                         const struct checkpoint *k)
{
    struct run *run = &c->runs[k->run];
    bool known = run->withdrawn_attempt == run->attempt && k->step <= run->withdrawn_step;
    if (known || k->attempt < run->attempt || (run->has_latest && k->step < run->latest)) {
        return;
    }
    struct coordinator_record *record = update_record(c, u, RECORD_WITHDRAWN);
    record->run = run->key;
    record->attempt = k->attempt;
    record->step = k->step;
    run->withdrawn_attempt = k->attempt;
    run->withdrawn_step = k->step;
}

void checkpoint_quarantine(struct coordinator *c, struct coordinator_update *u,
                           struct checkpoint *k, const char *reason)
{
    checkpoint_withdraw(c, u, k);
    struct coordinator_record *record = record_of(c, u, k, RECORD_QUARANTINED);
    say(record->reason, "%s", reason);
    move(c, k, CHECKPOINT_QUARANTINED);
    say(k->reason, "%s", reason);
    broadcast(c, u, k, CHECKPOINT_QUARANTINED);
    struct machine_note *note = note_of(c, u, k,
                                        k->mark == MARK_POISONED ? EVENT_checkpoint_poisoned
                                                                 : EVENT_checkpoint_quarantined);
    say(note->text, "%s", reason);
    run_refresh_latest(c, &c->runs[k->run]);
}

/* The update's own commit of k: its shards are read from the tables after this turn. */
bool checkpoint_is_committed_now(const struct coordinator *c, const struct coordinator_update *u,
                                 const struct checkpoint *k)
{
    const struct run_key *run = &c->runs[k->run].key;
    for (uint32_t i = 0; i < u->record_count; i++) {
        const struct coordinator_record *record = &u->records[i];
        if (record->type == RECORD_CONSISTENT && record->step == k->step &&
            record->attempt == k->attempt && record->run.uid == run->uid &&
            strcmp(record->run.name, run->name) == 0) {
            return true;
        }
    }
    return false;
}

/* Retires what retention no longer keeps and what can't be consistent any more. Bounded by the room
 * for records; the tick goes on with the rest. What has to wait, and whatever changes a state,
 * leaves the run to be looked at again; otherwise it is not. */
static void retention(struct coordinator *c, struct coordinator_update *u, struct run *run)
{
    uint32_t kept = 0;
    index_set_remove(&c->runs_keeping, run_index(c, run));
    for (uint32_t i = run->first_checkpoint; i != NONE;) {
        struct checkpoint *k = &c->checkpoints[i];
        i = k->next_in_run;
        if (u->record_count == COORDINATOR_RECORDS_MAX || !update_has_room(u, 1)) {
            u->again = true;
            index_set_add(&c->runs_keeping, run_index(c, run));
            return;
        }
        if (k->state == CHECKPOINT_CONSISTENT) {
            kept++;
            bool surplus = kept > c->config.keep || PLANTED_BUG(RETIRE_NEWEST);
            if (surplus && checkpoint_is_committed_now(c, u, k)) {
                u->again = true;
                index_set_add(&c->runs_keeping, run_index(c, run));
            } else if (surplus && session_uses(c, k)) {
                index_set_add(&c->runs_keeping, run_index(c, run));
            } else if (surplus) {
                checkpoint_retire(c, u, k, "newer checkpoints are kept in its place");
            }
        } else if (k->state == CHECKPOINT_QUARANTINED && kept >= c->config.keep) {
            checkpoint_retire(c, u, k, "quarantined, and older than what is kept");
        } else if (checkpoint_is_open(k) && run->has_latest && k->step < run->latest &&
                   !PLANTED_BUG(LATEST_BACK)) {
            checkpoint_abort(c, u, k, CKPT_ERR_ABORTED, "step %llu became consistent first",
                             (unsigned long long)run->latest);
        } else if (k->state == CHECKPOINT_ABORTED && run->has_latest && k->step < run->latest) {
            checkpoint_remove(c, k);
        }
    }
}

static void commit(struct coordinator *c, struct coordinator_update *u, struct checkpoint *k)
{
    struct run *run = &c->runs[k->run];
    assert(k->shards == k->world && k->sealed == k->world);
    checkpoint_time_commit(c, run, k, c->wall_ms);
    record_of(c, u, k, RECORD_CONSISTENT)->wall_ms = k->wall_ms;
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        shard_set_homes_as_held(c, &c->shards[i], NULL);
        if (shard_is_pulled(&c->shards[i]) || shard_surplus(c, &c->shards[i]) != NULL ||
            k->makes_do) {
            queue_push(c, &c->shards[i]); /* what was ordered while a copy seemed to be gone */
        }
    }
    run->active_ms = c->now_ms;
    move(c, k, CHECKPOINT_CONSISTENT);
    trouble_is_over(c, TROUBLE_SAVE, "", &run->key);
    k->status = CKPT_OK;
    k->reason[0] = '\0';
    run_pass_over(c, run, k->attempt, UINT64_MAX);
    run_refresh_latest(c, run);
    assert(run->latest == k->step);
    broadcast(c, u, k, CHECKPOINT_CONSISTENT);
    struct machine_note *note = note_of(c, u, k, EVENT_commit);
    say(note->text, "world %u, %u copies, %llu bytes", k->world, k->copies,
        (unsigned long long)k->bytes);
    retention(c, u, run);
}

/* Whether the commit rule holds, read from the copies themselves and not from the counters. */
bool commit_is_due(const struct coordinator *c, const struct checkpoint *k)
{
    for (uint32_t rank = 0; rank < k->world; rank++) {
        const struct shard *s = shard_find(c, k, rank);
        if ((s == NULL || !s->sealed || !shard_has_copies(c, s)) && !PLANTED_BUG(MISSING_RANK)) {
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
    return k->attempt == run->attempt ||
           (k->state == CHECKPOINT_VERIFYING && !run->chosen && !run_has_begun(c, run));
}

void commit_if_due(struct coordinator *c, struct coordinator_update *u, struct checkpoint *k)
{
    const struct run *run = &c->runs[k->run];
    uint32_t missing = PLANTED_BUG(MISSING_RANK) && k->world > 1;
    if (k->state != CHECKPOINT_VERIFYING || k->ready + missing < k->world ||
        !attempt_may_commit(c, run, k) ||
        (run->has_latest && k->step <= run->latest && !PLANTED_BUG(LATEST_BACK))) {
        return;
    }
    if (u->record_count == COORDINATOR_RECORDS_MAX || !update_has_room(u, 1)) {
        u->again = true; /* the tick commits it */
        return;
    }
    if (k->in_shares && replica_refuses(c, u, k)) {
        return;
    }
    if (PLANTED_BUG(TELL_BEFORE_DURABLE) && k->status == CKPT_OK) {
        k->status = CKPT_ERR_BUSY;
        broadcast(c, u, k, CHECKPOINT_CONSISTENT);
        return;
    }
    bool due = commit_is_due(c, k);
    assert(due);
    if (due) {
        commit(c, u, k);
    }
}

/* A rank saves in rising order, so what it has passed by never has all ranks, and its memory is
 * wanted: at once, and not when save_timeout is over. Only on the word of a node that has told all
 * that it holds: else the shard may be there, and its report on the way. */
void run_gone_on(struct coordinator *c, struct coordinator_update *u, const struct run *run,
                 const struct shard_key *at, uint32_t member)
{
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        if (checkpoint_is_open(k) && k->step < at->step && k->attempt == at->attempt &&
            at->rank < k->world && shard_find(c, k, at->rank) == NULL &&
            c->members[member].inventory_told && update_has_room(u, 4)) {
            checkpoint_abort(c, u, k, CKPT_ERR_ABORTED, "rank %u has gone on to step %llu",
                             at->rank, (unsigned long long)at->step);
        }
    }
}

/* A later attempt has begun: what the earlier ones have not made consistent never will be, or
 * `latest` could move under a rank that already restored. */
void run_raise_attempt(struct coordinator *c, struct coordinator_update *u, struct run *run,
                       uint32_t attempt, bool keep_verifying, const struct nonce *start)
{
    assert(attempt >= run->attempt);
    start_retire(c, run);
    struct coordinator_record *record = update_record(c, u, RECORD_ATTEMPT);
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
        if (checkpoint_is_open(k) && !keep && update_has_room(u, 4)) {
            checkpoint_abort(c, u, k, CKPT_ERR_ATTEMPT, "attempt %u of the run has begun", attempt);
        }
    }
}

/* Nobody seals any more when the job has ended: what is staged becomes consistent soon or never. */
static uint64_t progress_due_ms(const struct coordinator *c, const struct run *run,
                                const struct checkpoint *k)
{
    uint64_t due_ms = k->progress_ms + c->config.save_timeout_ms;
    if (PLANTED_BUG(OPEN_FOR_EVER)) {
        return UINT64_MAX;
    }
    if (run_lingers(c, run) && k->attempt <= run->job.attempt) {
        uint64_t since_ms = k->progress_ms > run->job.ended_ms ? k->progress_ms : run->job.ended_ms;
        uint64_t ended_ms = since_ms + c->config.ended_timeout_ms;
        due_ms = ended_ms < due_ms ? ended_ms : due_ms;
    }
    return due_ms;
}

/* Copies apart from nodes that drain are still to be made, and have been for long. */
static bool is_short_of_others(const struct coordinator *c, const struct checkpoint *k)
{
    return c->drains > 0 && k->state == CHECKPOINT_VERIFYING &&
           c->now_ms >= k->progress_ms + c->config.repair_after_ms;
}

void checkpoints_tick(struct coordinator *c, struct coordinator_update *u)
{
    for (uint32_t i = 0; (i = index_set_from(&c->checkpoints_open, i)) != NONE; i++) {
        struct checkpoint *k = &c->checkpoints[i];
        if (u->record_count + 2 > COORDINATOR_RECORDS_MAX || !update_has_room(u, 2)) {
            u->again = true;
            return;
        }
        const struct run *run = &c->runs[k->run];
        if (!attempt_may_commit(c, run, k)) {
            checkpoint_abort(c, u, k, CKPT_ERR_ATTEMPT, "attempt %u of the run has begun",
                             run->attempt);
        } else if (is_short_of_others(c, k) && drain_makes_do(c, k)) {
            commit_if_due(c, u, k);
        } else if (c->now_ms >= progress_due_ms(c, run, k)) {
            char why[CKPT_REASON_MAX + 1];
            say(why, "%s", k->reason);
            checkpoint_abort(
                c, u, k, k->status != CKPT_OK ? k->status : CKPT_ERR_ABORTED,
                "no progress for %llu ms%s: %u of %u ranks sealed, %u with all copies%s%.120s",
                (unsigned long long)(c->now_ms - k->progress_ms),
                run_lingers(c, run) ? " and its job has ended" : "", k->sealed, k->world, k->ready,
                why[0] != '\0' ? "; " : "", why);
        } else {
            trouble_of_save(c, u, k);
            commit_if_due(c, u, k);
        }
    }
    for (uint32_t i = 0; (i = index_set_from(&c->runs_keeping, i)) != NONE; i++) {
        if (c->runs[i].has_latest) {
            retention(c, u, &c->runs[i]);
        } else {
            index_set_remove(&c->runs_keeping, i);
        }
    }
}
