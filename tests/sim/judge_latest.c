/* SPDX-License-Identifier: Apache-2.0 */
/* `latest` only goes forward, and nobody hears of a commit that is not durable: invariants 7,
 * 8, 11.
 *
 * Reads the store's log as it grows, and every message as it leaves.
 *
 * Not verified: the text of messages; what ckptctl is shown. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

/* The newest attempt on record: the processes of earlier ones are past. */
static uint32_t newest_attempt(struct sim *sim, const struct run_key *run)
{
    uint32_t newest = 0;
    for (uint32_t i = 0; i < sim->store.count; i++) {
        const struct coordinator_record *r = &sim->store.records[i].record;
        if (r->attempt > newest && r->run.uid == run->uid && strcmp(r->run.name, run->name) == 0) {
            newest = r->attempt;
        }
    }
    return newest;
}

static void judge_consistent(struct sim *sim, const struct coordinator_record *r, uint32_t run)
{
    const struct commit *newest = judge_newest(sim, run);
    const struct commit *earlier = judge_commit_find(sim, run, r->attempt, r->step);
    if (earlier && earlier->retired) {
        sim_violation(sim,
                      "run %u: attempt %u step %" PRIu64 " was retired and is consistent again",
                      run, r->attempt, r->step);
    }
    if (newest && r->step <= newest->step) {
        sim_violation(sim, "run %u: latest goes from step %" PRIu64 " back to %" PRIu64, run,
                      newest->step, r->step);
    }
    for (uint32_t i = 0; i < sim->judge->session_count; i++) {
        const struct session *session = &sim->judge->sessions[i];
        if (session->run == run && session->attempt > r->attempt && session->answered &&
            session->attempt >= newest_attempt(sim, &r->run)) {
            sim_violation(sim,
                          "run %u: attempt %u commits step %" PRIu64
                          " when attempt %u has restored already",
                          run, r->attempt, r->step, session->attempt);
        }
    }
}

/* The ruler was told that this launch has begun, and nobody was told that it has ended. */
static bool runs_again(struct sim *sim, uint32_t ruler, uint32_t run)
{
    const struct sim_job *job = &sim->jobs[run];
    return job->launch > job->ended_launch && sim->judge->begun[run].launch == job->launch &&
           sim->judge->begun[run].ruler == ruler &&
           sim->judge->begun[run].life == sim->rulers[ruler].host.life;
}

/* The scheduler has said that the job is over, and that nobody wants its checkpoints any more: at
 * once, or when memory is short, or after its linger. */
static bool is_released(struct sim *sim, uint32_t ruler, uint32_t run, uint32_t attempt)
{
    const struct sim_job *job = &sim->jobs[run];
    if (runs_again(sim, ruler, run)) {
        return false;
    }
    for (uint32_t i = attempt; i <= SIM_ATTEMPTS_MAX; i++) {
        const struct sim_job_end *end = &job->ends[i - 1];
        if (end->told &&
            (end->final || !job->requeueable || sim->now_ms >= end->at_ms + job->linger_ms)) {
            return true;
        }
    }
    return false;
}

static void judge_retired(struct sim *sim, uint32_t ruler, const struct coordinator_record *r,
                          uint32_t run)
{
    struct commit *commit = judge_commit_find(sim, run, r->attempt, r->step);
    if (!commit) {
        return;
    }
    if (commit == judge_newest(sim, run) && !sim->judge->retire_newer[run] &&
        !is_released(sim, ruler, run, r->attempt)) {
        sim_violation(sim, "run %u: its newest consistent checkpoint, step %" PRIu64 ", is retired",
                      run, r->step);
    }
    commit->retired = true;
    if (sim->judge->must_restore[run] && sim->judge->must_restore_step[run] == r->step) {
        sim->judge->must_restore[run] = false; /* retention came before the ranks asked */
    }
}

/* A lifted quarantine moves latest forward, and never over what the run has done since. */
static void judge_offered(struct sim *sim, const struct coordinator_record *r, uint32_t run)
{
    struct commit *commit = judge_commit_find(sim, run, r->attempt, r->step);
    const struct commit *newest = judge_newest(sim, run);
    if (!commit || !commit->quarantined || (newest && newest->step > r->step)) {
        sim_violation(sim,
                      "run %u: step %" PRIu64 " is offered again, which was not quarantined, or is "
                      "behind latest",
                      run, r->step);
        return;
    }
    for (uint32_t i = 0; i < sim->judge->commit_count; i++) {
        const struct commit *other = &sim->judge->commits[i];
        if (other->run == run && !other->retired && other->attempt > r->attempt) {
            sim_violation(sim,
                          "run %u: step %" PRIu64 " of attempt %u is offered again when attempt %u "
                          "has saved",
                          run, r->step, r->attempt, other->attempt);
        }
    }
    commit->quarantined = false;
}

void judge_store_record(struct sim *sim, uint32_t ruler, const struct sim_record *record)
{
    const struct coordinator_record *r = &record->record;
    for (uint32_t i = sim->store.count - 1; i-- > 0;) {
        if (sim->store.records[i].record.epoch > r->epoch) {
            sim_violation(sim, "ruler %u of epoch %" PRIu64 " wrote after epoch %" PRIu64, ruler,
                          r->epoch, sim->store.records[i].record.epoch);
        }
        break;
    }
    const struct sim_job *job = sim_job_of(sim, &r->run);
    if (!job) {
        return;
    }
    if (r->type == RECORD_CONSISTENT) {
        judge_consistent(sim, r, job->run);
    } else if (r->type == RECORD_RETIRED) {
        judge_retired(sim, ruler, r, job->run);
    } else if (r->type == RECORD_OFFERED) {
        judge_offered(sim, r, job->run);
    } else if (r->type == RECORD_QUARANTINED) {
        struct commit *commit = judge_commit_find(sim, job->run, r->attempt, r->step);
        if (commit) {
            judge_quarantined(sim, commit);
            commit->quarantined = true;
        } else {
            sim_violation(sim, "what was never consistent is quarantined");
        }
    }
}

static void check_durable(struct sim *sim, const struct run_key *key, uint32_t attempt,
                          uint64_t step, const char *what)
{
    const struct sim_job *job = sim_job_of(sim, key);
    if (job && !judge_commit_find(sim, job->run, attempt, step)) {
        sim_violation(sim,
                      "%s says that attempt %u step %" PRIu64
                      " of run %u is consistent, and the store does not",
                      what, attempt, step, job->run);
    }
}

/* Late acknowledgements of earlier launches say nothing new. */
static void note_begun(struct sim *sim, uint32_t ruler, const char *name, uint32_t launch)
{
    uint32_t run;
    if (sscanf(name, "sim/%u", &run) == 1 && run < sim->mix.runs) {
        sim->judge->begun[run].ruler = ruler;
        sim->judge->begun[run].life = sim->rulers[ruler].host.life;
        sim->judge->begun[run].launch = launch;
    }
}

void judge_ruler_message(struct sim *sim, uint32_t ruler, uint32_t node,
                         const struct message *message)
{
    judge_key_told(sim, message);
    if (message->type == MESSAGE_CHECKPOINT_STATE) {
        const struct message_checkpoint_state *state = &message->checkpoint_state;
        if (state->state == CHECKPOINT_CONSISTENT) {
            check_durable(sim, &state->run, state->attempt, state->step, "CHECKPOINT_STATE");
        }
        const struct sim_job *job = sim_job_of(sim, &state->run);
        const struct commit *commit =
            job ? judge_commit_find(sim, job->run, state->attempt, state->step) : NULL;
        if (state->state == CHECKPOINT_RETIRED && commit && !commit->retired) {
            sim_violation(sim, "step %" PRIu64 " of run %u is told to be retired before it is",
                          state->step, job->run);
        }
    } else if (message->type == MESSAGE_SHARD_ACK &&
               message->shard_ack.checkpoint == CHECKPOINT_CONSISTENT) {
        check_durable(sim, &message->shard_ack.shard.run, message->shard_ack.shard.attempt,
                      message->shard_ack.shard.step, "SHARD_ACK");
    } else if (message->type == MESSAGE_CHECKPOINT_INFO &&
               message->checkpoint_info.status == CKPT_OK &&
               message->checkpoint_info.state == CHECKPOINT_CONSISTENT) {
        check_durable(sim, &message->checkpoint_info.run, message->checkpoint_info.attempt,
                      message->checkpoint_info.step, "CHECKPOINT_INFO");
        judge_tier_word(sim, &message->checkpoint_info);
    } else if (message->type == MESSAGE_JOB_ACK && message->job_ack.verb == JOB_BEGIN) {
        note_begun(sim, ruler, message->job_ack.job, message->job_ack.attempt);
    } else if (message->type == MESSAGE_LOAD_VERDICT) {
        judge_verdict(sim, ruler, node, message);
    } else if (message->type == MESSAGE_PULL_ORDER) {
        judge_order(sim, ruler, node, &message->pull_order);
    }
}

void judge_rank_message(struct sim *sim, uint32_t node, const struct sim_end *to,
                        const struct message *message, const struct sim_mapping *attached)
{
    const struct sim_job *job = &sim->jobs[to->index / SIM_WORLD_MAX];
    if (message->type == MESSAGE_SAVE_OUTCOME && message->save_outcome.status == CKPT_OK) {
        bool durable = false;
        for (uint32_t attempt = 1; attempt <= job->attempt; attempt++) {
            durable =
                durable || judge_commit_find(sim, job->run, attempt, message->save_outcome.step);
        }
        if (!durable) {
            sim_violation(sim,
                          "a rank of run %u is told that step %" PRIu64
                          " is consistent, and the store does not say so",
                          job->run, message->save_outcome.step);
        }
    }
    for (uint32_t i = 0; attached && i < attached->count; i++) {
        uint32_t users = memory_file(sim, node, attached->segments[i])->users;
        if (users & ~(1u << job->user)) {
            sim_violation(sim,
                          "node %u hands segment %u to user %u, which held another user's "
                          "bytes",
                          node, attached->segments[i], job->user);
        }
    }
}
