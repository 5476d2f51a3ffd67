/* SPDX-License-Identifier: Apache-2.0 */
/* A scheduler's hooks, as Slurm runs them: on each node of a job, before its ranks and after them,
 * over connections of their own. An agent that hangs hears them late, after those of the next start
 * too; one that is away hears them never; some are heard twice. An Epilog does not know of which
 * start it is. When that began, some schedulers say at both ends. */
#include <stdio.h>

#include "hosts.h"

#define LATE_MAX_MS 3000

static bool is_first_on_node(const struct sim_job *job, uint32_t rank)
{
    for (uint32_t other = 0; other < rank; other++) {
        if (job->ranks[other].node == job->ranks[rank].node) {
            return false;
        }
    }
    return true;
}

static void say(struct sim *sim, const struct sim_job *job, uint32_t index, enum job_verb verb,
                uint32_t start)
{
    struct sim_node *node = &sim->nodes[index];
    bool may_fail = !sim->faults_over && !sim->mix.clean;
    if (!node->host.alive || (may_fail && sim_chance(sim, PPM / 10))) {
        return;
    }
    struct message message = {
        .type = MESSAGE_JOB, .incarnation = sim_incarnation(sim), .sequence = 1};
    message.job.verb = verb;
    snprintf(message.job.job, sizeof message.job.job, "sim/%u", job->run);
    message.job.run = job->key;
    message.job.attempt = start;
    message.job.linger_ms = job->linger_ms;
    message.job.requeueable = job->requeueable;
    message.job.said_ms = sim->now_ms;
    message.job.started_s = job->tells_start_time ? job->started_ms : 0;
    struct sim_end from = {.type = END_HOOK, .index = job->run};
    uint32_t times = may_fail && sim_chance(sim, PPM / 6) ? 2 : 1;
    for (uint32_t i = 0; i < times; i++) {
        struct sim_end to = {.type = END_NODE, .index = index, .life = node->host.life};
        to.link = node->next_link++;
        bool is_late = i > 0 || (may_fail && sim_chance(sim, PPM / 5));
        net_say_once(sim, from, to, &message,
                     is_late ? sim_between(sim, 100, LATE_MAX_MS) : sim_between(sim, 0, 5));
    }
}

void hooks_begin(struct sim *sim, struct sim_job *job)
{
    job->started_ms = sim->now_ms;
    for (uint32_t rank = 0; rank < job->world; rank++) {
        if (is_first_on_node(job, rank)) {
            say(sim, job, job->ranks[rank].node, JOB_BEGIN, job->launch);
        }
    }
}

void hooks_end(struct sim *sim, struct sim_job *job, bool final)
{
    for (uint32_t rank = 0; rank < job->world; rank++) {
        if (is_first_on_node(job, rank)) {
            say(sim, job, job->ranks[rank].node, final ? JOB_FINAL : JOB_END,
                sim_chance(sim, PPM / 4) ? job->launch : 0);
        }
    }
}

void hooks_end_early(struct sim *sim, struct sim_job *job)
{
    uint32_t rank = sim_between(sim, 0, job->world - 1);
    say(sim, job, job->ranks[rank].node, JOB_END, 0);
}
