/* SPDX-License-Identifier: Apache-2.0 */
/* Results become panels: for each case a function that takes the results of that case, side by
 * side, and makes at most PLOT_PANELS_MAX panels of them. */
#ifndef CKPTBENCH_PLOT_H
#define CKPTBENCH_PLOT_H

#include "plot/chart.h"
#include "report/result.h"

#define PLOT_PANELS_MAX 35
#define PLOT_RESULTS_MAX 16

/* charts_out are zeroed; returns how many were made. */
typedef size_t plot_function(const struct result *results, size_t count, struct chart *charts_out);

plot_function plot_raw;      /* plot_raw.c */
plot_function plot_cycle;    /* plot_cycle.c */
plot_function plot_digest;   /* plot_more.c */
plot_function plot_scale;    /* plot_more.c */
plot_function plot_rails;    /* plot_more.c */
plot_function plot_register; /* plot_more.c */

#endif
