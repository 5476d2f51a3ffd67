/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "planted.h"

#define JOBS_MAX 64

/* What a child tells its parent, in memory that both see. */
struct report {
    struct sim_stats stats;
    uint64_t seed; /* under way, or violated first */
    bool violated;
    char failure[1024];
};
struct board {
    atomic_bool stop;
    struct report reports[JOBS_MAX];
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Every jobs-th seed, beginning with the job-th. Children do not wait for each other. */
static void run_share(const struct batch *batch, struct board *board, uint32_t job,
                      uint64_t deadline_us)
{
    struct report *report = &board->reports[job];
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim) {
        _exit(3);
    }
    planted_bug_set(batch->planted_bug);
    for (uint64_t i = job; i < batch->seeds && !atomic_load(&board->stop); i += batch->jobs) {
        if (deadline_us && now_us() > deadline_us) {
            break;
        }
        uint64_t seed = batch->start + i;
        report->seed = report->violated ? report->seed : seed;
        bool good = sim_run(sim, seed, NULL);
        report->stats = sim->stats;
        if (good) {
            continue;
        }
        if (!report->violated) {
            memcpy(report->failure, sim->failure, sizeof report->failure);
            report->violated = true;
        }
        if (!batch->keep_going) {
            atomic_store(&board->stop, true);
            break;
        }
        printf("seed %" PRIu64 ": %s\n", seed, sim->failure);
        fflush(stdout);
    }
    _exit(0);
}

static void add_stats(struct sim_stats *to, const struct sim_stats *from)
{
    to->seeds += from->seeds;
    to->turns += from->turns;
    to->advances += from->advances;
    to->messages += from->messages;
    to->commits += from->commits;
    to->restores += from->restores;
    to->fetches += from->fetches;
    to->range_proofs += from->range_proofs;
    to->range_reads += from->range_reads;
    to->ranges += from->ranges;
    to->gathers += from->gathers;
    to->prepared += from->prepared;
    to->prepared_for_others += from->prepared_for_others;
    to->persisted += from->persisted;
    to->verdicts_bad += from->verdicts_bad;
    to->live_judged += from->live_judged;
    to->excused += from->excused;
    for (uint32_t i = 0; i < FAULT_KINDS; i++) {
        to->faults[i] += from->faults[i];
    }
}

/* A child that did not end well was aborted by an assertion, or worse: that is a violation too. */
static void judge_child(struct report *report, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return;
    }
    report->violated = true;
    snprintf(report->failure, sizeof report->failure, "the process died: %s %d",
             WIFSIGNALED(status) ? "signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void batch_run(const struct batch *batch, struct batch_result *result_out)
{
    struct batch_result result = {0};
    uint32_t jobs = batch->jobs < JOBS_MAX ? batch->jobs : JOBS_MAX;
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) {
        abort();
    }
    uint64_t began_us = now_us();
    uint64_t deadline_us =
        batch->seconds_limit ? began_us + (uint64_t)batch->seconds_limit * 1000000 : 0;
    pid_t children[JOBS_MAX];
    fflush(NULL);
    for (uint32_t job = 0; job < jobs; job++) {
        children[job] = fork();
        if (children[job] == 0) {
            if (batch->quiet && !freopen("/dev/null", "w", stderr)) {
                _exit(3);
            }
            run_share(batch, board, job, deadline_us);
        }
    }
    for (uint32_t job = 0; job < jobs; job++) {
        int status = 0;
        struct report *report = &board->reports[job];
        if (children[job] > 0 && waitpid(children[job], &status, 0) == children[job]) {
            judge_child(report, status);
        }
        if (report->violated) {
            atomic_store(&board->stop, !batch->keep_going);
            if (!result.violated || report->seed < result.seed) {
                result.violated = true;
                result.seed = report->seed;
                memcpy(result.failure, report->failure, sizeof result.failure);
            }
        }
        add_stats(&result.stats, &report->stats);
    }
    result.seconds_us = now_us() - began_us;
    munmap(board, sizeof *board);
    *result_out = result;
}
