/* SPDX-License-Identifier: Apache-2.0 */
#include "report/latency.h"

#define STEPS (UINT64_C(1) << LATENCY_STEP_BITS)

/* Values below 128 have a bucket each; above, the seven bits below the first one choose it. */
static uint32_t bucket_of(uint64_t ns)
{
    if (ns < STEPS) {
        return (uint32_t)ns;
    }
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(ns) - LATENCY_STEP_BITS;
    return ((shift + 1) << LATENCY_STEP_BITS) + (uint32_t)((ns >> shift) - STEPS);
}

/* The greatest value of a bucket. */
static uint64_t top_of(uint32_t bucket)
{
    uint32_t group = bucket >> LATENCY_STEP_BITS;
    uint64_t step = bucket & (STEPS - 1);
    if (group == 0) {
        return step;
    }
    return ((STEPS + step + 1) << (group - 1)) - 1;
}

void latency_add(struct latency *latency, uint64_t ns)
{
    if (latency->count == 0 || ns < latency->least) {
        latency->least = ns;
    }
    if (ns > latency->greatest) {
        latency->greatest = ns;
    }
    latency->count++;
    latency->buckets[bucket_of(ns)]++;
}

uint64_t latency_quantile(const struct latency *latency, double part)
{
    uint64_t seen = 0;
    if (latency->count == 0 || part <= 0) {
        return latency->least;
    }
    double wanted = part * (double)latency->count;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if (latency->buckets[i] > 0 && (double)seen >= wanted) {
            uint64_t top = top_of(i);
            top = top < latency->greatest ? top : latency->greatest;
            return top > latency->least ? top : latency->least;
        }
    }
    return latency->greatest;
}

bool latency_has_quantile(const struct latency *latency, double part)
{
    /* Not 1: 100 * (1 - 0.99) may be a little less. */
    return (double)latency->count * (1 - part) > 1 - 1e-6;
}
