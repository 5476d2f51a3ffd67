/* SPDX-License-Identifier: Apache-2.0 */
/* What one quantity was, each time it was measured. One thread. */
#ifndef CKPTBENCH_SAMPLES_H
#define CKPTBENCH_SAMPLES_H

#include <stddef.h>

#define SAMPLES_MAX 4096

struct samples {
    size_t count;
    double values[SAMPLES_MAX]; /* in the order of measuring */
};

/* Beyond SAMPLES_MAX nothing is kept: the options bound how often anything is repeated. */
void samples_add(struct samples *samples, double value);

/* 0 when there are none. part: 0 is the least, 0.5 the median, 1 the greatest; linear between two
 * values. */
double samples_quantile(const struct samples *samples, double part);
double samples_median(const struct samples *samples);
double samples_min(const struct samples *samples);
double samples_max(const struct samples *samples);

#endif
