/* SPDX-License-Identifier: Apache-2.0 */
#include "case_kernels_roofline.h"

#include <math.h>

/* Instructions for 64 bytes a thread, by the unit that executes them: docs/kernels.md, "What the
 * instructions allow". `bench/kernels_roofline.py BUILD/kernels 90` prints them of a build. Zeros:
 * memory alone is the bound, as far as has been counted. */
static const struct counts {
    double crossings;
    double alu;
    double fma;
    double shuffles;
    double all;
} counts[STEP_COUNT] = {
    [STEP_COPY] = {.crossings = 2},
    [STEP_BLAKE3] = {1, 640, 136, 0, 790},
    [STEP_FINGERPRINT] = {1, 86, 92, 18, 210},
    [STEP_COUNTING] = {1, 274, 281, 18, 750}, /* every path taken */
    [STEP_SCATTER] = {2, 8, 4, 0, 22},
    [STEP_GATHER] = {2, 8, 4, 0, 22},
    [STEP_FINITE] = {1, 44, 31, 0, 92},
    [STEP_SCATTER_ODD] = {.crossings = 2},
    [STEP_GATHER_ODD] = {.crossings = 2},
    [STEP_CHANGED] = {.crossings = 0}, /* its launch is */
};

#define COUNTED_BYTES 64.0
/* Results a clock and multiprocessor, and instructions issued times 32 lanes. */
#define ALU_A_CLOCK 64.0
#define FMA_A_CLOCK 64.0
#define SHUFFLES_A_CLOCK 32.0
#define ALL_A_CLOCK 128.0

double roofline_crossings(enum kernel_step step)
{
    return counts[step].crossings;
}

double roofline_bytes_s(enum kernel_step step, const struct gpu *gpu)
{
    const struct counts *c = &counts[step];
    if (c->crossings == 0 || gpu->memory_bytes_s == 0) {
        return NAN;
    }
    double bound = gpu->memory_bytes_s / c->crossings;
    double clocks = fmax(fmax(c->alu / ALU_A_CLOCK, c->fma / FMA_A_CLOCK),
                         fmax(c->shuffles / SHUFFLES_A_CLOCK, c->all / ALL_A_CLOCK));
    if (clocks == 0) {
        return bound;
    }
    double units = COUNTED_BYTES / clocks * gpu->processors * gpu->clock_hz;
    return units == 0 ? NAN : fmin(bound, units);
}
