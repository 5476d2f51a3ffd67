/* SPDX-License-Identifier: Apache-2.0 */
/* A chart as SVG. */
#ifndef CKPTBENCH_CHART_DRAW_H
#define CKPTBENCH_CHART_DRAW_H

#include <stdio.h>

#include "plot/chart.h"

/* Draws into the rectangle. */
void chart_draw(const struct chart *chart, FILE *out, double x, double y, double width,
                double height);

#endif
