/* SPDX-License-Identifier: Apache-2.0 */
/* One panel of a picture: axes, a legend, and lines or bars. */
#ifndef CKPTBENCH_CHART_H
#define CKPTBENCH_CHART_H

#include <stdbool.h>

#include "plot/axis.h"

#define CHART_SERIES_MAX 64
#define CHART_POINTS_MAX 64
#define CHART_CATEGORIES_MAX 32
#define CHART_MARKS_MAX 64
#define CHART_NAME_MAX 72

struct chart_series {
    char name[CHART_NAME_MAX];
    int colour; /* a number, from 0; the same number is the same colour in every panel */
    bool dashed;
    size_t count;
    double x[CHART_POINTS_MAX];   /* of bars and of categories: their number */
    double y[CHART_POINTS_MAX];   /* NAN: not measured */
    double low[CHART_POINTS_MAX]; /* the least and the greatest; NAN: not shown */
    double high[CHART_POINTS_MAX];
};

enum chart_mark_kind {
    CHART_ROOF,  /* what could be at best: a dark line over one bar */
    CHART_LIMIT, /* what is asked for: a dashed line across a category */
    CHART_LEVEL, /* a dashed line across the whole panel, with its name at it */
};

struct chart_mark {
    enum chart_mark_kind kind;
    size_t category;
    size_t series; /* of CHART_ROOF */
    double y;
    char name[CHART_NAME_MAX]; /* of CHART_LEVEL */
};

struct chart {
    char title[96];
    char x_title[64];
    char y_title[64];
    bool bars;
    enum axis_scale x_scale; /* without categories */
    enum axis_scale y_scale;
    bool is_full;          /* something did not fit: the picture would not say all */
    size_t category_count; /* 0: x is a number */
    char categories[CHART_CATEGORIES_MAX][40];
    size_t series_count;
    struct chart_series series[CHART_SERIES_MAX];
    size_t mark_count;
    struct chart_mark marks[CHART_MARKS_MAX];
};

/* Adds an empty one, the last again when there is no room. */
struct chart_series *chart_series_add(struct chart *chart, int colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* low and high: NAN for none. */
void chart_point_add(struct chart *chart, struct chart_series *series, double x, double y,
                     double low, double high);

/* The category of that name, added where it is new. */
size_t chart_category(struct chart *chart, const char *name);

void chart_mark_add(struct chart *chart, enum chart_mark_kind kind, size_t category, size_t series,
                    double y, const char *name);

/* Whether there is anything to draw. */
bool chart_has_points(const struct chart *chart);

/* The n-th colour, "#0072b2": told apart by those who see colours otherwise, too. */
const char *chart_colour(int number);

#endif
