/* SPDX-License-Identifier: Apache-2.0 */
/* An axis: where a value lies, and at which values there is a line and a label. Pure. */
#ifndef CKPTBENCH_AXIS_H
#define CKPTBENCH_AXIS_H

#include <stdbool.h>
#include <stddef.h>

#define AXIS_TICKS_MAX 40

enum axis_scale {
    AXIS_LINEAR, /* from 0 */
    AXIS_LOG,    /* powers of ten, with 2 and 5 where there is room */
    AXIS_BYTES,  /* powers of two, as sizes */
    AXIS_COUNT,  /* powers of two, as numbers */
};

struct axis {
    enum axis_scale scale;
    double least; /* at the begin */
    double greatest;
    size_t tick_count;
    double ticks[AXIS_TICKS_MAX];
};

/* Chooses bounds and ticks for values from least to greatest, which must be above 0 unless the
 * scale is linear. Equal or odd bounds are widened, so that an axis always has some length. */
void axis_fit(struct axis *axis, enum axis_scale scale, double least, double greatest);

/* 0 at the begin, 1 at the end. */
double axis_place(const struct axis *axis, double value);

/* "0.5", "64KiB", "1000" */
void axis_label(const struct axis *axis, double tick, char *text_out, size_t size);

#endif
