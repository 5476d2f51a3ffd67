/* SPDX-License-Identifier: Apache-2.0 */
/* What a panel has. */
#include "plot/chart.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* After Okabe and Ito, Color Universal Design (2008), and three more of the same lightness. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#7a5195", "#5f6b6d"};

const char *chart_colour(int number)
{
    return colours[number % (int)(sizeof(colours) / sizeof(colours[0]))];
}

struct chart_series *chart_series_add(struct chart *chart, int colour, const char *format, ...)
{
    chart->is_full = chart->is_full || chart->series_count == CHART_SERIES_MAX;
    size_t at =
        chart->series_count < CHART_SERIES_MAX ? chart->series_count++ : CHART_SERIES_MAX - 1;
    struct chart_series *series = &chart->series[at];
    va_list arguments;
    memset(series, 0, sizeof(*series));
    series->colour = colour;
    va_start(arguments, format);
    vsnprintf(series->name, sizeof(series->name), format, arguments);
    va_end(arguments);
    return series;
}

void chart_point_add(struct chart *chart, struct chart_series *series, double x, double y,
                     double low, double high)
{
    chart->is_full = chart->is_full || series->count == CHART_POINTS_MAX;
    if (series->count < CHART_POINTS_MAX) {
        size_t i = series->count++;
        series->x[i] = x;
        series->y[i] = y;
        series->low[i] = low;
        series->high[i] = high;
    }
}

size_t chart_category(struct chart *chart, const char *name)
{
    for (size_t i = 0; i < chart->category_count; i++) {
        if (strcmp(chart->categories[i], name) == 0) {
            return i;
        }
    }
    chart->is_full = chart->is_full || chart->category_count == CHART_CATEGORIES_MAX;
    size_t at = chart->category_count < CHART_CATEGORIES_MAX ? chart->category_count++
                                                             : CHART_CATEGORIES_MAX - 1;
    snprintf(chart->categories[at], sizeof(chart->categories[at]), "%s", name);
    return at;
}

void chart_mark_add(struct chart *chart, enum chart_mark_kind kind, size_t category, size_t series,
                    double y, const char *name)
{
    if (chart->mark_count < CHART_MARKS_MAX && isfinite(y)) {
        struct chart_mark *mark = &chart->marks[chart->mark_count++];
        *mark = (struct chart_mark){.kind = kind, .category = category, .series = series, .y = y};
        snprintf(mark->name, sizeof(mark->name), "%s", name);
    }
}

bool chart_has_points(const struct chart *chart)
{
    for (size_t i = 0; i < chart->series_count; i++) {
        for (size_t j = 0; j < chart->series[i].count; j++) {
            if (isfinite(chart->series[i].y[j])) {
                return true;
            }
        }
    }
    return false;
}
