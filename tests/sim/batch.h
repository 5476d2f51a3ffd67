/* SPDX-License-Identifier: Apache-2.0 */
/* Many seeds, in child processes, so that a machine that aborts is a violation with a seed and not
 * the end of the batch. */
#ifndef CKPT_SIM_BATCH_H
#define CKPT_SIM_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "sim.h"

struct batch {
    uint64_t start;
    uint64_t seeds;
    uint32_t jobs;
    uint32_t seconds_limit; /* 0: none */
    int planted_bug;        /* 0: none */
    bool quiet;
    bool keep_going; /* past seeds that violate, each of which is printed */
};

struct batch_result {
    struct sim_stats stats;
    uint64_t seconds_us;
    bool violated;
    uint64_t seed; /* the lowest that is known to violate */
    char failure[1024];
};

/* Runs the seeds start, start + 1, ... until all are done, the time is up, or one violates and
 * keep_going is not set. */
void batch_run(const struct batch *batch, struct batch_result *result_out);

#endif
