/* SPDX-License-Identifier: Apache-2.0 */
/* ckptsim: runs seeds, prints what they saw, says how to replay the one that failed. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "planted.h"

static const char help[] =
    "ckptsim runs the coordinator's and the agents' machines in a simulated cluster, with faults, "
    "and\n"
    "judges what they do.\n"
    "\n"
    "  ckptsim --seeds N [--start S]   N seeds from S on (default 200 from 1)\n"
    "  ckptsim --replay SEED           one seed, with its trace and the hash of its history\n"
    "\n"
    "  --jobs N             processes side by side (default 1)\n"
    "  --seconds-limit N    start no further seed after so long\n"
    "  --keep-going         print each seed that violates, and go on\n"
    "  --hash               with --replay: only the hash\n"
    "  --check-replay       run each seed twice: both histories must be the same\n"
    "  --bug N              with the planted bug N (ckptsim_bugs only)\n"
    "  --bugs               every planted bug in turn: each must be caught within --seeds\n"
    "\n"
    "Exit status: 0 when nothing was violated, 1 when something was, or when the seeds saw so "
    "little that\n"
    "the answer means nothing, 2 for a wrong option.\n";

/* A batch that saw less than this proves nothing; of what a seed gives on average. */
#define COMMITS_PER_SEED_MIN 2
#define RESTORES_PER_SEED_MIN 1
#define PREPARED_PER_VAIN_MIN 4
#define SEEDS_FOR_ALL_FAULTS 500

static void print_stats(const struct sim_stats *s, uint64_t us)
{
    printf("seeds %" PRIu64 "  turns %" PRIu64 "  advances %" PRIu64 "  messages %" PRIu64
           "  seconds %.1f  ms/seed %.1f\n",
           s->seeds, s->turns, s->advances, s->messages, (double)us / 1e6,
           s->seeds ? (double)us / 1e3 / (double)s->seeds : 0.0);
    printf("commits %" PRIu64 "  restores %" PRIu64 "  fetches %" PRIu64
           "  proofs of ranges %" PRIu64 " (read from another %" PRIu64 ", handed out %" PRIu64
           ")  gathers %" PRIu64 "  prepared saves %" PRIu64 " (in vain %" PRIu64
           ")  persisted %" PRIu64 "  failed loads %" PRIu64
           "  restores that had to succeed %" PRIu64 "  excused flips %" PRIu64 "\n",
           s->commits, s->restores, s->fetches, s->range_proofs, s->range_reads, s->ranges,
           s->gathers, s->prepared, s->prepared_for_others, s->persisted, s->verdicts_bad,
           s->live_judged, s->excused);
    for (uint32_t kind = 0; kind < FAULT_KINDS; kind++) {
        printf("  %-34s %" PRIu64 "\n", fault_kind_name((enum fault_kind)kind), s->faults[kind]);
    }
}

static int run_batch(const struct batch *batch)
{
    struct batch_result result;
    batch_run(batch, &result);
    print_stats(&result.stats, result.seconds_us);
    if (result.violated) {
        printf("violations 1\nseed %" PRIu64 ": %s\nreplay: ckptsim --replay %" PRIu64 "\n",
               result.seed, result.failure, result.seed);
        return 1;
    }
    printf("violations 0\n");
    for (uint32_t kind = 0; kind < FAULT_KINDS; kind++) {
        if (result.stats.seeds >= SEEDS_FOR_ALL_FAULTS && result.stats.faults[kind] == 0) {
            printf("no fault of kind '%s' struck: this batch proves nothing\n",
                   fault_kind_name((enum fault_kind)kind));
            return 1;
        }
    }
    if (result.stats.commits < COMMITS_PER_SEED_MIN * result.stats.seeds ||
        result.stats.restores < RESTORES_PER_SEED_MIN * result.stats.seeds ||
        (result.stats.seeds >= SEEDS_FOR_ALL_FAULTS &&
         (result.stats.gathers == 0 || result.stats.range_proofs == 0 ||
          result.stats.range_reads == 0 || result.stats.ranges == 0 ||
          result.stats.prepared < PREPARED_PER_VAIN_MIN * result.stats.prepared_for_others ||
          result.stats.prepared == 0 || result.stats.persisted < result.stats.seeds)) ||
        result.stats.seeds == 0) {
        printf("too few commits, restores, gathers, prepared or persisted saves: this batch proves "
               "nothing\n");
        return 1;
    }
    printf("ok\n");
    return 0;
}

static void give_back(struct sim *sim)
{
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        free(sim->nodes[i].memory);
    }
    for (int i = 0; i < SIM_RULERS_MAX; i++) {
        free(sim->rulers[i].memory);
    }
    free(sim->links);
    free(sim);
}

static int replay(uint64_t seed, bool trace, int bug)
{
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim) {
        return 3;
    }
    planted_bug_set(bug);
    bool good = sim_run(sim, seed, trace ? stdout : NULL);
    printf("seed %" PRIu64 " hash %016" PRIx64 " turns %" PRIu64 " %s\n", seed, sim->hash,
           sim->stats.turns, good ? "ok" : sim->failure);
    give_back(sim);
    return good ? 0 : 1;
}

/* A history is a function of its seed alone: also of a simulator that ran other seeds before. */
static int check_replay(uint64_t start, uint64_t seeds)
{
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim) {
        return 3;
    }
    int exit_code = 0;
    for (uint64_t seed = start; seed < start + seeds; seed++) {
        (void)sim_run(sim, seed, NULL);
        uint64_t first = sim->hash;
        (void)sim_run(sim, seed + 1, NULL);
        (void)sim_run(sim, seed, NULL);
        if (sim->hash != first) {
            printf("seed %" PRIu64 " has two histories\n", seed);
            exit_code = 1;
        }
    }
    printf("%" PRIu64 " seeds run twice: %s\n", seeds, exit_code ? "not the same" : "the same");
    give_back(sim);
    return exit_code;
}

static int run_bugs(struct batch *batch)
{
    int missed = 0;
    if (planted_bug_count() == 0) {
        fprintf(stderr, "ckptsim: this program has no planted bugs; ckptsim_bugs has\n");
        return 2;
    }
    for (int bug = 1; bug <= planted_bug_count(); bug++) {
        struct batch_result result;
        batch->planted_bug = bug;
        batch->quiet = true;
        batch_run(batch, &result);
        printf("bug %2d %-72s ", bug, planted_bug_text(bug));
        if (result.violated) {
            printf("caught at seed %" PRIu64 " after %" PRIu64 " seeds: %s\n", result.seed,
                   result.seed - batch->start + 1, result.failure);
        } else {
            printf("NOT CAUGHT in %" PRIu64 " seeds\n", result.stats.seeds);
            missed++;
        }
        fflush(stdout);
    }
    printf("%d planted bugs, %d missed\n", planted_bug_count(), missed);
    return missed ? 1 : 0;
}

static bool read_number(const char *text, uint64_t *number_out)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end) {
        fprintf(stderr, "ckptsim: '%s' is not a number\n", text);
        return false;
    }
    *number_out = number;
    return true;
}

enum mode { MODE_BATCH, MODE_REPLAY, MODE_HASH, MODE_CHECK, MODE_BUGS };

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 's'},  {"start", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},   {"seconds-limit", required_argument, NULL, 'l'},
        {"replay", required_argument, NULL, 'r'}, {"bug", required_argument, NULL, 'b'},
        {"hash", no_argument, NULL, 'H'},         {"check-replay", no_argument, NULL, 'c'},
        {"bugs", no_argument, NULL, 'B'},         {"keep-going", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},         {0},
    };
    uint64_t numbers[128] = {['s'] = 200, ['f'] = 1, ['j'] = 1};
    enum mode mode = MODE_BATCH;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (option == '?' || (optarg && !read_number(optarg, &numbers[option]))) {
            return 2;
        }
        numbers['k'] |= option == 'k';
        mode = option == 'r' && mode != MODE_HASH ? MODE_REPLAY
               : option == 'H'                    ? MODE_HASH
               : option == 'c'                    ? MODE_CHECK
               : option == 'B'                    ? MODE_BUGS
                                                  : mode;
    }
    struct batch batch = {.start = numbers['f'],
                          .seeds = numbers['s'],
                          .jobs = (uint32_t)numbers['j'],
                          .seconds_limit = (uint32_t)numbers['l'],
                          .planted_bug = (int)numbers['b'],
                          .keep_going = numbers['k'] != 0};
    if (optind < argc || batch.jobs < 1 || batch.planted_bug > planted_bug_count()) {
        fprintf(stderr, "ckptsim: wrong argument; see ckptsim --help\n");
        return 2;
    }
    switch (mode) {
    case MODE_REPLAY:
    case MODE_HASH:
        return replay(numbers['r'], mode == MODE_REPLAY, batch.planted_bug);
    case MODE_CHECK:
        return check_replay(batch.start, batch.seeds);
    case MODE_BUGS:
        return run_bugs(&batch);
    case MODE_BATCH:
        break;
    }
    return run_batch(&batch);
}
