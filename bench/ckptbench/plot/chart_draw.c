/* SPDX-License-Identifier: Apache-2.0 */
/* A panel as it is seen. */
#include "plot/chart_draw.h"

#include <math.h>
#include <string.h>

#include "plot/chart.h"
#include "plot/svg.h"

#define MARGIN_LEFT 66.0
#define MARGIN_RIGHT 18.0
#define MARGIN_TOP 34.0
#define MARGIN_BOTTOM 52.0
#define LEGEND_LINE 18.0
#define SWATCH 16.0 /* of a legend's bar */
#define STROKE 28.0 /* of a legend's line */

#define INK "#222222"
#define FAINT "#666666"
#define GRID "#e4e4e4"
#define FRAME "#9a9a9a"
#define LIMIT_INK "#b00020"

/* Where the panel's own drawing goes, and how values become places. */
struct plane {
    FILE *out;
    double left, top, width, height;
    struct axis x, y;
};

static double place_y(const struct plane *plane, double value)
{
    double part = axis_place(&plane->y, value);
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    return plane->top + plane->height * (1 - part);
}

/* The middle of a category, or the place of a number. */
static double place_x(const struct plane *plane, const struct chart *chart, double value)
{
    if (chart->category_count > 0) {
        return plane->left + plane->width * (value + 0.5) / (double)chart->category_count;
    }
    return plane->left + plane->width * axis_place(&plane->x, value);
}

static void widen(double value, double *least, double *greatest)
{
    if (isfinite(value)) {
        *least = value > 0 && value < *least ? value : *least;
        *greatest = value > *greatest ? value : *greatest;
    }
}

static void fit(struct plane *plane, const struct chart *chart)
{
    double x_least = INFINITY, x_greatest = 0;
    double y_least = INFINITY, y_greatest = 0;
    for (size_t i = 0; i < chart->series_count; i++) {
        const struct chart_series *series = &chart->series[i];
        for (size_t j = 0; j < series->count; j++) {
            if (isfinite(series->y[j])) {
                widen(series->x[j], &x_least, &x_greatest);
            }
            widen(series->y[j], &y_least, &y_greatest);
            widen(series->low[j], &y_least, &y_greatest);
            widen(series->high[j], &y_least, &y_greatest);
        }
    }
    for (size_t i = 0; i < chart->mark_count; i++) {
        widen(chart->marks[i].y, &y_least, &y_greatest);
    }
    axis_fit(&plane->x, chart->x_scale, x_least, x_greatest);
    /* Room for a number over the tallest bar. */
    axis_fit(&plane->y, chart->y_scale, y_least,
             y_greatest * (chart->bars && chart->y_scale == AXIS_LINEAR ? 1.06 : 1));
}

static struct svg_stroke series_stroke(const struct chart_series *series)
{
    return (struct svg_stroke){
        .colour = chart_colour(series->colour), .width = 2, .dash = series->dashed ? "6 4" : NULL};
}

/* How wide an entry of the legend is. */
static double key_width(const char *name, double sample)
{
    return sample + 6 + svg_text_width(name, 11.5) + 14;
}

static void draw_key(const struct chart *chart, size_t i, FILE *out, double x, double y)
{
    const struct chart_series *series = &chart->series[i];
    struct svg_stroke stroke = series_stroke(series);
    double sample = chart->bars ? SWATCH : STROKE;
    struct svg_text text = {
        .x = x + sample + 6, .y = y, .size = 11.5, .anchor = SVG_START, .colour = INK};
    if (chart->bars) {
        svg_rectangle(out, x, y - 9, SWATCH, 10, stroke.colour);
    } else {
        svg_line(out, x, y - 4, x + STROKE, y - 4, &stroke);
        svg_circle(out, x + STROKE / 2, y - 4, 3, stroke.colour);
    }
    svg_write(out, &text, series->name);
}

static bool has_mark(const struct chart *chart, enum chart_mark_kind kind)
{
    for (size_t i = 0; i < chart->mark_count; i++) {
        if (chart->marks[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* What the lines over bars mean. */
static const char *mark_name(enum chart_mark_kind kind)
{
    return kind == CHART_ROOF ? "roofline" : "target";
}

static void draw_mark_key(FILE *out, double x, double y, enum chart_mark_kind kind)
{
    struct svg_stroke stroke = {.colour = kind == CHART_ROOF ? INK : LIMIT_INK,
                                .width = kind == CHART_ROOF ? 3 : 1.6,
                                .dash = kind == CHART_ROOF ? NULL : "5 3"};
    struct svg_text text = {
        .x = x + STROKE + 6, .y = y, .size = 11.5, .anchor = SVG_START, .colour = INK};
    svg_line(out, x, y - 4, x + STROKE, y - 4, &stroke);
    svg_write(out, &text, mark_name(kind));
}

/* Series without a name are explained elsewhere. Returns how many lines the legend takes; draws it
 * when out is not NULL. */
static int draw_legend(const struct chart *chart, FILE *out, double left, double top, double width)
{
    static const enum chart_mark_kind kinds[] = {CHART_ROOF, CHART_LIMIT};
    double x = left;
    int line = 0;
    for (size_t i = 0; i < chart->series_count + 2; i++) {
        bool series = i < chart->series_count;
        enum chart_mark_kind kind = kinds[series ? 0 : i - chart->series_count];
        if (series ? chart->series[i].name[0] == '\0' : !has_mark(chart, kind)) {
            continue;
        }
        double needed = key_width(series ? chart->series[i].name : mark_name(kind),
                                  series && chart->bars ? SWATCH : STROKE);
        if (x > left && x + needed > left + width) {
            x = left;
            line++;
        }
        if (out != NULL && series) {
            draw_key(chart, i, out, x, top + LEGEND_LINE * line);
        } else if (out != NULL) {
            draw_mark_key(out, x, top + LEGEND_LINE * line, kind);
        }
        x += needed;
    }
    return line + 1;
}

static void draw_y_axis(const struct plane *plane, const struct chart *chart)
{
    const struct svg_stroke grid = {.colour = GRID, .width = 1};
    for (size_t i = 0; i < plane->y.tick_count; i++) {
        double y = place_y(plane, plane->y.ticks[i]);
        char label[32];
        struct svg_text text = {
            .x = plane->left - 7, .y = y + 4, .size = 11.5, .anchor = SVG_END, .colour = INK};
        svg_line(plane->out, plane->left, y, plane->left + plane->width, y, &grid);
        axis_label(&plane->y, plane->y.ticks[i], label, sizeof(label));
        svg_write(plane->out, &text, label);
    }
    struct svg_text title = {.x = plane->left - 50,
                             .y = plane->top + plane->height / 2,
                             .size = 12,
                             .anchor = SVG_MIDDLE,
                             .colour = FAINT,
                             .upwards = true};
    svg_write(plane->out, &title, chart->y_title);
}

static void draw_x_axis(const struct plane *plane, const struct chart *chart)
{
    const struct svg_stroke grid = {.colour = GRID, .width = 1};
    const struct svg_stroke frame = {.colour = FRAME, .width = 1};
    double bottom = plane->top + plane->height;
    size_t count = chart->category_count > 0 ? chart->category_count : plane->x.tick_count;
    for (size_t i = 0; i < count; i++) {
        double value = chart->category_count > 0 ? (double)i : plane->x.ticks[i];
        double x = place_x(plane, chart, value);
        char label[40];
        struct svg_text text = {
            .x = x, .y = bottom + 17, .size = 11.5, .anchor = SVG_MIDDLE, .colour = INK};
        if (chart->category_count > 0) {
            snprintf(label, sizeof(label), "%s", chart->categories[i]);
        } else {
            axis_label(&plane->x, value, label, sizeof(label));
            svg_line(plane->out, x, plane->top, x, bottom, &grid);
        }
        svg_write(plane->out, &text, label);
    }
    svg_line(plane->out, plane->left, bottom, plane->left + plane->width, bottom, &frame);
    svg_line(plane->out, plane->left, plane->top, plane->left, bottom, &frame);
    struct svg_text title = {.x = plane->left + plane->width / 2,
                             .y = bottom + 38,
                             .size = 12,
                             .anchor = SVG_MIDDLE,
                             .colour = FAINT};
    svg_write(plane->out, &title, chart->x_title);
}

static void draw_whisker(const struct plane *plane, double x, double low, double high,
                         const char *colour)
{
    const struct svg_stroke stroke = {.colour = colour, .width = 1.2};
    if (isfinite(low) && isfinite(high) && high > low) {
        double y1 = place_y(plane, low);
        double y2 = place_y(plane, high);
        svg_line(plane->out, x, y1, x, y2, &stroke);
        svg_line(plane->out, x - 3, y1, x + 3, y1, &stroke);
        svg_line(plane->out, x - 3, y2, x + 3, y2, &stroke);
    }
}

static void draw_lines(const struct plane *plane, const struct chart *chart)
{
    for (size_t i = 0; i < chart->series_count; i++) {
        const struct chart_series *series = &chart->series[i];
        struct svg_stroke stroke = series_stroke(series);
        svg_path_begin(plane->out);
        for (size_t j = 0; j < series->count; j++) {
            if (isfinite(series->y[j])) {
                svg_path_point(plane->out, place_x(plane, chart, series->x[j]),
                               place_y(plane, series->y[j]));
            }
        }
        svg_path_end(plane->out, &stroke);
        for (size_t j = 0; j < series->count; j++) {
            if (isfinite(series->y[j])) {
                double x = place_x(plane, chart, series->x[j]);
                draw_whisker(plane, x, series->low[j], series->high[j], stroke.colour);
                svg_circle(plane->out, x, place_y(plane, series->y[j]), 3.6, stroke.colour);
            }
        }
    }
}

/* The bars of a category stand side by side in four fifths of its room. */
static double bar_width(const struct plane *plane, const struct chart *chart)
{
    double width = plane->width / (double)chart->category_count * 0.8 / (double)chart->series_count;
    return width < 64 ? width : 64;
}

static double bar_left(const struct plane *plane, const struct chart *chart, size_t series,
                       double category)
{
    double width = bar_width(plane, chart);
    return place_x(plane, chart, category) +
           ((double)series - (double)chart->series_count / 2) * width;
}

/* The number stands at the foot of its bar, where no line crosses it; or over a low bar. */
static void draw_bar(const struct plane *plane, const struct chart *chart, size_t i, size_t j)
{
    const struct chart_series *series = &chart->series[i];
    double width = bar_width(plane, chart);
    double left = bar_left(plane, chart, i, series->x[j]);
    double top = place_y(plane, series->y[j]);
    double bottom = plane->top + plane->height;
    bool inside = bottom - top > 20;
    char label[32];
    svg_rectangle(plane->out, left + 1, top, width - 2, bottom - top, chart_colour(series->colour));
    draw_whisker(plane, left + width / 2, series->low[j], series->high[j], INK);
    double highest = isfinite(series->high[j]) ? place_y(plane, series->high[j]) : top;
    struct svg_text text = {.x = left + width / 2,
                            .y = inside ? bottom - 7 : (highest < top ? highest : top) - 5,
                            .size = 11,
                            .anchor = SVG_MIDDLE,
                            .colour = inside ? "#ffffff" : INK,
                            .bold = inside};
    snprintf(label, sizeof(label), "%.3g", series->y[j]);
    if (svg_text_width(label, 11) > width) {
        snprintf(label, sizeof(label), "%.2g", series->y[j]);
    }
    if (svg_text_width(label, 11) <= width + 6) {
        svg_write(plane->out, &text, label);
    }
}

static void draw_bars(const struct plane *plane, const struct chart *chart)
{
    for (size_t i = 0; i < chart->series_count; i++) {
        for (size_t j = 0; j < chart->series[i].count; j++) {
            if (isfinite(chart->series[i].y[j])) {
                draw_bar(plane, chart, i, j);
            }
        }
    }
}

static void draw_mark(const struct plane *plane, const struct chart *chart,
                      const struct chart_mark *mark)
{
    double y = place_y(plane, mark->y);
    double width = bar_width(plane, chart);
    double left = plane->left;
    double right = plane->left + plane->width;
    struct svg_stroke stroke = {.colour = LIMIT_INK, .width = 1.6, .dash = "5 3"};
    if (mark->kind == CHART_ROOF) {
        left = bar_left(plane, chart, mark->series, (double)mark->category);
        right = left + width;
        stroke = (struct svg_stroke){.colour = INK, .width = 3};
    } else if (mark->kind == CHART_LIMIT) {
        double half = plane->width / (double)chart->category_count * 0.46;
        left = place_x(plane, chart, (double)mark->category) - half;
        right = left + 2 * half;
    } else {
        stroke = (struct svg_stroke){.colour = FAINT, .width = 1.4, .dash = "2 3"};
    }
    svg_line(plane->out, left, y, right, y, &stroke);
    if (mark->kind != CHART_ROOF) {
        char label[CHART_NAME_MAX + 32];
        struct svg_text text = {.x = right - 2,
                                .y = y - 5,
                                .size = 10.5,
                                .anchor = SVG_END,
                                .colour = mark->kind == CHART_LEVEL ? FAINT : stroke.colour,
                                .halo = true};
        snprintf(label, sizeof(label), "%s%.3g", mark->name, mark->y);
        svg_write(plane->out, &text, label);
    }
}

void chart_draw(const struct chart *chart, FILE *out, double x, double y, double width,
                double height)
{
    struct svg_text title = {
        .x = x, .y = y + 16, .size = 14.5, .anchor = SVG_START, .colour = INK, .bold = true};
    double inner = width - MARGIN_LEFT - MARGIN_RIGHT;
    int lines = draw_legend(chart, NULL, 0, 0, width);
    struct plane plane = {.out = out,
                          .left = x + MARGIN_LEFT,
                          .top = y + MARGIN_TOP + LEGEND_LINE * lines,
                          .width = inner};
    plane.height = y + height - MARGIN_BOTTOM - plane.top;
    fit(&plane, chart);
    svg_write(out, &title, chart->title);
    draw_legend(chart, out, x, y + MARGIN_TOP + 2, width);
    draw_y_axis(&plane, chart);
    draw_x_axis(&plane, chart);
    if (chart->bars) {
        draw_bars(&plane, chart);
    } else {
        draw_lines(&plane, chart);
    }
    for (size_t i = 0; i < chart->mark_count; i++) {
        draw_mark(&plane, chart, &chart->marks[i]);
    }
}
