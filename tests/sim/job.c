/* SPDX-License-Identifier: Apache-2.0 */
/* A training run: starts its ranks, lets them restore together, train and save in step, and starts
 * all of them again, as a later attempt, when one fails. */
#include <inttypes.h>
#include <string.h>

#include "hosts.h"
#include "judge.h"

#define LOAD_PATIENCE_MS 15000
#define STEP 10

void job_init(struct sim *sim, uint32_t run)
{
    struct sim_job *job = &sim->jobs[run];
    job->run = run;
    job->user = sim_between(sim, 0, 1);
    job->key.uid = sim_uid(job->user);
    /* Two users may use one name. */
    snprintf(job->key.name, sizeof job->key.name, "run/%c", sim_chance(sim, PPM / 2) ? 'a' : 'b');
    for (uint32_t other = 0; other < run; other++) {
        if (sim->jobs[other].key.uid == job->key.uid &&
            strcmp(sim->jobs[other].key.name, job->key.name) == 0) {
            snprintf(job->key.name, sizeof job->key.name, "run/%u", run);
        }
    }
    job->world = sim_between(sim, 1, sim->mix.runs == 1 ? 8 : 4);
    uint32_t copies_max = sim->mix.domains < 3 ? sim->mix.domains : 3;
    job->copies =
        sim_chance(sim, PPM * 3 / 4) && copies_max >= 2 ? 2 : sim_between(sim, 1, copies_max);
    job->interval_ms = sim_between(sim, 300, 1200);
    job->requeueable = sim_chance(sim, PPM * 3 / 4);
    job->is_counted = sim_chance(sim, PPM / 2);
    job->linger_ms = sim_between(sim, 100, 4000);
    job->tells_start_time = sim->mix.hooks && sim_chance(sim, PPM / 2);
    for (uint32_t rank = 0; rank < job->world; rank++) {
        job->shard_bytes[rank] =
            sim_between(sim, 1, SIM_SHARD_SEGMENTS_MAX * sim->mix.segment_bytes);
        if (sim->mix.arena == ARENA_TIGHT) {
            job->shard_bytes[rank] = sim_between(sim, 1, 2 * sim->mix.segment_bytes);
        }
        if (sim->mix.small_shards && sim_chance(sim, PPM * 2 / 3)) {
            job->shard_bytes[rank] = sim_between(sim, 1, sim->mix.segment_bytes / 2);
        }
        if (sim->mix.equal_shards) {
            job->shard_bytes[rank] = job->shard_bytes[0];
        }
    }
    sim_later(sim, sim_between(sim, 300, 1500), TURN_JOB, run, job->life, 0, NULL);
}

/* The node for a rank whose own is down: as a scheduler spreads what is left. */
static uint32_t spare_node(struct sim *sim, const struct sim_job *job, uint32_t ranks)
{
    uint32_t best = sim_between(sim, 0, sim->mix.nodes - 1);
    uint32_t fewest = UINT32_MAX;
    for (uint32_t node = 0; node < sim->mix.nodes; node++) {
        uint32_t here = 0;
        for (uint32_t rank = 0; rank < ranks; rank++) {
            here += job->ranks[rank].node == node;
        }
        if (sim->nodes[node].host.alive && here < fewest) {
            best = node;
            fewest = here;
        }
    }
    return best;
}

/* What this load may not fall behind. */
static void note_newest(struct sim *sim, struct sim_job *job)
{
    const struct commit *newest = judge_newest(sim, job->run);
    job->had_newest = newest != NULL;
    if (newest) {
        job->newest_attempt = newest->attempt;
        job->newest_step = newest->step;
    }
}

void job_start(struct sim *sim, struct sim_job *job)
{
    note_newest(sim, job);
    job->launch++;
    job->is_reused =
        !job->is_counted && job->has_restored && !sim->mix.clean && sim_chance(sim, PPM / 8);
    job->attempt += job->is_counted || job->is_reused ? 0 : 1;
    job->has_restored = job->has_restored && job->is_reused;
    job->is_seated = false;
    job->load = 1;
    job->life++;
    job->phase = JOB_LOADING;
    job->phase_since_ms = sim->now_ms;
    bool prepares = sim->mix.hooks && !sim->faults_over && sim_chance(sim, PPM / 4);
    job->prepares_ms = prepares ? sim_between(sim, 500, 8000) : 0;
    uint32_t offset = sim_between(sim, 0, sim->mix.nodes - 1);
    sim_trace(sim, "job %s starts attempt %u", job->key.name, job->attempt);
    for (uint32_t rank = 0; rank < job->world; rank++) {
        uint32_t node = (offset + rank) % sim->mix.nodes;
        if (!sim->nodes[node].host.alive) {
            node = spare_node(sim, job, rank);
        }
        job->ranks[rank].node = node;
        rank_spawn(sim, job, rank);
    }
    if (sim->mix.hooks) {
        hooks_begin(sim, job);
    }
    sim_later(sim, 100, TURN_JOB, job->run, job->life, 0, NULL);
}

static void tell_end(struct sim *sim, struct sim_job *job)
{
    bool final = !sim->faults_over && sim_chance(sim, PPM / 20);
    if (job->attempt > SIM_ATTEMPTS_MAX || job->ends[job->attempt - 1].told) {
        return;
    }
    job->ends[job->attempt - 1] =
        (struct sim_job_end){.told = true, .final = final, .at_ms = sim->now_ms};
    job->ended_launch = job->launch;
    hooks_end(sim, job, final);
}

void job_restart(struct sim *sim, struct sim_job *job, uint64_t restart_in_ms)
{
    if (sim->mix.hooks && job->attempt > 0) {
        tell_end(sim, job);
    }
    for (uint32_t rank = 0; rank < job->world; rank++) {
        rank_kill(sim, job, rank);
    }
    job->phase = JOB_DOWN;
    job->life++;
    sim_later(sim, restart_in_ms, TURN_JOB, job->run, job->life, 0, NULL);
}

/* A rank of this launch is told the number of its start: the same for all of them, and above that
 * of every launch that anything has come of. */
void job_seated(struct sim *sim, struct sim_job *job, uint32_t attempt)
{
    if (!job->is_counted) {
        return;
    }
    if (job->is_seated && attempt != job->attempt) {
        sim_violation(sim, "run %u: two ranks of one start are of attempts %u and %u", job->run,
                      job->attempt, attempt);
    }
    if (!job->is_seated && attempt < job->attempt + (job->has_begun ? 1 : 0)) {
        sim_violation(sim, "run %u: a new start has attempt %u, after %u", job->run, attempt,
                      job->attempt);
    }
    job->has_begun = job->has_begun && attempt == job->attempt;
    job->attempt = attempt;
    job->is_seated = true;
}

void job_fail(struct sim *sim, struct sim_job *job, uint64_t restart_in_ms)
{
    if (job->phase != JOB_OFF && job->phase != JOB_DOWN) {
        job_restart(sim, job, restart_in_ms);
    }
}

void job_node_wiped(struct sim *sim, uint32_t node)
{
    for (uint32_t run = 0; run < sim->mix.runs; run++) {
        struct sim_job *job = &sim->jobs[run];
        bool hit = false;
        for (uint32_t rank = 0; rank < job->world; rank++) {
            if (job->ranks[rank].phase != RANK_OFF && job->ranks[rank].node == node) {
                rank_kill(sim, job, rank);
                hit = true;
            }
        }
        if (hit) {
            job_fail(sim, job, sim_between(sim, 50, 1500));
        }
    }
}

/* All ranks of the job have their answer: they go on together or fail together. */
void job_rank_answered(struct sim *sim, struct sim_job *job)
{
    if (job->phase != JOB_LOADING) {
        return;
    }
    bool mixed = false;
    bool begun = job->has_begun; /* an agent's own word, of nobody there, begins nothing */
    for (uint32_t rank = 0; rank < job->world; rank++) {
        if (!job->ranks[rank].answered) {
            return;
        }
        begun = begun || job->ranks[rank].answer != CKPT_ERR_NO_COORDINATOR;
        mixed = mixed || job->ranks[rank].answer != job->ranks[0].answer ||
                (job->ranks[0].answer == CKPT_OK &&
                 job->ranks[rank].answer_step != job->ranks[0].answer_step);
    }
    enum ckpt_status answer = mixed ? CKPT_ERR_TIMEOUT : job->ranks[0].answer;
    sim_trace(sim, "job %s attempt %u load %u: %s step %" PRIu64, job->key.name, job->attempt,
              job->load, ckpt_status_name(answer), job->ranks[0].answer_step);
    judge_restored(sim, job, answer, job->ranks[0].answer_step);
    job->has_begun = begun;
    if (job->is_reused && (answer == CKPT_OK || answer == CKPT_ERR_NO_CHECKPOINT)) {
        sim_violation(sim, "run %u: a second start under attempt %u is told %s", job->run,
                      job->attempt, ckpt_status_name(answer));
    }
    job->has_restored = job->has_restored || answer == CKPT_OK;
    if (job->is_reused) {
        job_fail(sim, job, sim_between(sim, 100, 600)); /* and counts on */
        return;
    }
    if (job->is_counted && !job->is_seated) {
        job_fail(sim, job, sim_between(sim, 100, 600)); /* nobody knows what its saves are of */
        return;
    }
    if (answer != CKPT_OK && answer != CKPT_ERR_NO_CHECKPOINT) {
        sim->stats.verdicts_bad++;
        if (++job->failures_in_a_row < 3 || sim->faults_over) {
            job_fail(sim, job, sim_between(sim, 100, 600));
            return;
        }
    }
    job->failures_in_a_row = 0;
    uint64_t from = answer == CKPT_OK ? job->ranks[0].answer_step : job->highest_step;
    job->phase = JOB_TRAINING;
    job->phase_since_ms = sim->now_ms;
    job->next_step = from;
    for (uint32_t rank = 0; rank < job->world; rank++) {
        job->ranks[rank].step = from;
    }
}

/* The same processes load again, as in-process recovery does. */
static void reload(struct sim *sim, struct sim_job *job)
{
    note_newest(sim, job);
    job->load++;
    job->phase = JOB_LOADING;
    job->phase_since_ms = sim->now_ms;
    for (uint32_t rank = 0; rank < job->world; rank++) {
        job->ranks[rank].answered = false;
        if (job->ranks[rank].opened) {
            if (job->ranks[rank].phase == RANK_FILLING) {
                struct message message = {.type = MESSAGE_ABANDON};
                message.abandon =
                    (struct message_abandon){.step = job->ranks[rank].step,
                                             .slot = job->ranks[rank].slot,
                                             .generation = job->ranks[rank].generation};
                rank_send(sim, job, rank, &message);
            }
            rank_load(sim, job, rank);
        }
    }
}

void job_turn(struct sim *sim, uint32_t run, uint32_t life)
{
    struct sim_job *job = &sim->jobs[run];
    if (job->life != life) {
        return;
    }
    if (job->phase == JOB_OFF || job->phase == JOB_DOWN) {
        job_start(sim, job);
        return;
    }
    uint64_t next = 100;
    if (job->phase == JOB_LOADING && sim->now_ms - job->phase_since_ms > LOAD_PATIENCE_MS) {
        sim->stats.verdicts_bad++;
        judge_restored(sim, job, CKPT_ERR_TIMEOUT, 0);
        job_fail(sim, job, sim_between(sim, 100, 600));
        return;
    }
    if (job->phase == JOB_TRAINING) {
        if (!sim->faults_over && !sim->mix.clean && sim_chance(sim, PPM / 60)) {
            reload(sim, job);
        } else if (!sim->quiet) {
            if (sim->mix.hooks && (sim->faults_over || sim->mix.clean) &&
                sim_chance(sim, PPM / 20)) {
                hooks_end_early(sim, job);
            }
            job->next_step += STEP;
            next = job->interval_ms;
        }
    }
    sim_later(sim, next, TURN_JOB, run, life, 0, NULL);
}
