/* SPDX-License-Identifier: Apache-2.0 */
/* How long each of very many things took: a histogram of fixed size whose buckets are as wide as
 * 1/128 of their value, so that every quantile is right within 0.8 %. The least and the greatest
 * are exact. One thread. */
#ifndef CKPTBENCH_LATENCY_H
#define CKPTBENCH_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#define LATENCY_STEP_BITS 7 /* 128 buckets for each doubling */
#define LATENCY_BUCKETS ((64 - LATENCY_STEP_BITS + 1) << LATENCY_STEP_BITS)

struct latency {
    uint64_t count;
    uint64_t least;
    uint64_t greatest;
    uint64_t buckets[LATENCY_BUCKETS];
};

/* Zeroed memory is an empty histogram. */
void latency_add(struct latency *latency, uint64_t ns);

/* The smallest value that the part of all values is not above (0.5: the median), nanoseconds; 0
 * when there are none. */
uint64_t latency_quantile(const struct latency *latency, double part);

/* Whether there are values enough for it: one at least above the part. The 99.9 % of 100 values is
 * only the greatest of them. */
bool latency_has_quantile(const struct latency *latency, double part);

#endif
