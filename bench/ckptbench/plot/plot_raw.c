/* SPDX-License-Identifier: Apache-2.0 */
/* Raw reads: bandwidth and latency over slice sizes, and how much longer the slowest reads take. */
#include <math.h>
#include <string.h>

#include "plot/plot.h"

/* Lines of one panel of percentiles: with more they would not be told apart. */
#define PERCENTILE_LINES_MAX 8
#define LINES_MAX 32

/* A line: the points of one result with the same depth and number of rails. */
struct line {
    const struct result *result;
    double depth;
    double rails; /* 0: not said */
    char name[CHART_NAME_MAX];
};

static double rails_of(const json_t *point)
{
    double rails = result_number(point, "rails");
    return isnan(rails) ? 0 : rails;
}

static size_t add_line(struct line *lines, size_t count, const struct result *result,
                       const json_t *point)
{
    double depth = result_number(point, "depth");
    double rails = rails_of(point);
    for (size_t i = 0; i < count && i < LINES_MAX; i++) {
        if (lines[i].result == result && lines[i].depth == depth && lines[i].rails == rails) {
            return count;
        }
    }
    if (count < LINES_MAX) {
        lines[count] = (struct line){.result = result, .depth = depth, .rails = rails};
    }
    return count + 1;
}

/* How many there are: more than LINES_MAX are not told apart, and not drawn. */
static size_t find_lines(const struct result *results, size_t count, struct line *lines_out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *points = json_object_get(results[i].json, "points");
        for (size_t j = 0; j < json_array_size(points); j++) {
            found = add_line(lines_out, found, &results[i], json_array_get(points, j));
        }
    }
    for (size_t i = 0; i < found && i < LINES_MAX; i++) {
        struct line *line = &lines_out[i];
        char rails[32] = "";
        if (line->rails > 0) {
            snprintf(rails, sizeof(rails), ", %.0f rail%s", line->rails,
                     line->rails == 1 ? "" : "s");
        }
        snprintf(line->name, sizeof(line->name), "%.30s%s%.0f in flight%.20s",
                 count > 1 ? line->result->label : "", count > 1 ? ", " : "", line->depth, rails);
    }
    return found;
}

static bool is_of(const struct line *line, const json_t *point)
{
    return result_number(point, "depth") == line->depth && rails_of(point) == line->rails;
}

static void add_points(struct chart *chart, struct chart_series *series, const struct line *line,
                       const char *key, const char *low, const char *high)
{
    const json_t *points = json_object_get(line->result->json, "points");
    for (size_t i = 0; i < json_array_size(points); i++) {
        const json_t *point = json_array_get(points, i);
        if (is_of(line, point)) {
            chart_point_add(chart, series, result_number(point, "slice_bytes"),
                            result_number(point, key),
                            low != NULL ? result_number(point, low) : (double)NAN,
                            high != NULL ? result_number(point, high) : (double)NAN);
        }
    }
}

/* What others' tools reached in the same turns, as dashed lines. */
static void add_beside(struct chart *chart, const struct line *line, int colour)
{
    static const char *const tests[] = {"ucp_am_bw", "ucp_am_bw_eager", "ucp_get",
                                        "tag_bw",    "tag_bw_eager",    "ib_read_bw"};
    const json_t *first = json_array_get(json_object_get(line->result->json, "points"), 0);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        char key[64];
        snprintf(key, sizeof(key), "%s_gbps", tests[i]);
        if (json_object_get(first, key) != NULL) {
            struct chart_series *series =
                chart_series_add(chart, colour + 1 + (int)i, "%s, %.40s", tests[i], line->name);
            series->dashed = true;
            add_points(chart, series, line, key, NULL, NULL);
        }
    }
}

static void plot_bandwidth(const struct line *lines, size_t count, struct chart *chart)
{
    *chart = (struct chart){.title = "Bandwidth of reads",
                            .x_title = "bytes of one read (slice)",
                            .y_title = "GB/s (10^9 bytes a second)",
                            .x_scale = AXIS_BYTES,
                            .y_scale = AXIS_LINEAR};
    for (size_t i = 0; i < count; i++) {
        struct chart_series *series = chart_series_add(chart, (int)i, "%s", lines[i].name);
        add_points(chart, series, &lines[i], "gbps", "gbps_min", "gbps_max");
        add_beside(chart, &lines[i], (int)i);
    }
    if (count > 0) {
        chart_mark_add(chart, CHART_LEVEL, 0, 0,
                       result_number(lines[0].result->json, "memcpy_gbps"), "memcpy, one way: ");
    }
}

static void plot_latency(const struct line *lines, size_t count, struct chart *chart)
{
    *chart = (struct chart){.title = "Latency of a read: median (solid) and 99.9 % (dashed)",
                            .x_title = "bytes of one read (slice)",
                            .y_title = "microseconds",
                            .x_scale = AXIS_BYTES,
                            .y_scale = AXIS_LOG};
    for (size_t i = 0; i < count; i++) {
        struct chart_series *median = chart_series_add(chart, (int)i, "%s", lines[i].name);
        add_points(chart, median, &lines[i], "p50_us", NULL, NULL);
        struct chart_series *tail = chart_series_add(chart, (int)i, "%s", "");
        tail->dashed = true;
        add_points(chart, tail, &lines[i], "p999_us", NULL, NULL);
    }
}

static void add_percentiles(struct chart *chart, const char *front, const json_t *point)
{
    static const struct {
        const char *key, *name;
    } parts[] = {{"p50_us", "p50"},
                 {"p90_us", "p90"},
                 {"p99_us", "p99"},
                 {"p999_us", "p99.9"},
                 {"max_us", "max"}};
    char slice[32];
    struct axis axis = {.scale = AXIS_BYTES};
    axis_label(&axis, result_number(point, "slice_bytes"), slice, sizeof(slice));
    struct chart_series *series =
        chart_series_add(chart, (int)chart->series_count, "%.60s%s", front, slice);
    series->dashed = chart->series_count > PERCENTILE_LINES_MAX; /* the colours begin again */
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        chart_point_add(chart, series, (double)chart_category(chart, parts[i].name),
                        result_number(point, parts[i].key), (double)NAN, (double)NAN);
    }
}

static void begin_percentiles(struct chart *chart, const char *of)
{
    *chart = (struct chart){.x_title = "percentile; none where there are too few reads for it",
                            .y_title = "microseconds",
                            .y_scale = AXIS_LOG};
    snprintf(chart->title, sizeof(chart->title), "Percentiles of a read's time%s%.60s",
             of[0] != '\0' ? ": " : "", of);
}

static size_t points_of(const struct line *line, const json_t *points_out[CHART_POINTS_MAX])
{
    const json_t *points = json_object_get(line->result->json, "points");
    size_t found = 0;
    for (size_t i = 0; i < json_array_size(points) && found < CHART_POINTS_MAX; i++) {
        if (is_of(line, json_array_get(points, i))) {
            points_out[found++] = json_array_get(points, i);
        }
    }
    return found;
}

/* Every point has its line: all in one panel while they are told apart, else a panel for each
 * result, depth and number of rails. */
static size_t plot_percentiles(const struct line *lines, size_t count, struct chart *charts_out)
{
    const json_t *points[CHART_POINTS_MAX];
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        all += points_of(&lines[i], points);
    }
    bool together = all <= PERCENTILE_LINES_MAX;
    begin_percentiles(&charts_out[0], "");
    for (size_t i = 0; i < count; i++) {
        struct chart *chart = &charts_out[together ? 0 : i];
        char front[CHART_NAME_MAX + 4] = "";
        if (together) {
            snprintf(front, sizeof(front), "%s, ", lines[i].name);
        } else {
            begin_percentiles(chart, lines[i].name);
        }
        size_t found = points_of(&lines[i], points);
        for (size_t j = 0; j < found; j++) {
            add_percentiles(chart, front, points[j]);
        }
    }
    return together ? 1 : count;
}

static void plot_cpu(const struct line *lines, size_t count, struct chart *chart)
{
    *chart = (struct chart){.title = "CPU time of both ends",
                            .x_title = "bytes of one read (slice)",
                            .y_title = "CPU seconds a GB",
                            .x_scale = AXIS_BYTES,
                            .y_scale = AXIS_LOG};
    for (size_t i = 0; i < count; i++) {
        struct chart_series *series = chart_series_add(chart, (int)i, "%s", lines[i].name);
        add_points(chart, series, &lines[i], "cpu_s_per_gb", NULL, NULL);
    }
}

size_t plot_raw(const struct result *results, size_t count, struct chart *charts_out)
{
    static struct line lines[LINES_MAX];
    size_t found = find_lines(results, count, lines);
    if (found > LINES_MAX) {
        charts_out[0].is_full = true;
        return 1;
    }
    plot_bandwidth(lines, found, &charts_out[0]);
    plot_latency(lines, found, &charts_out[1]);
    plot_cpu(lines, found, &charts_out[2]);
    return 3 + plot_percentiles(lines, found, &charts_out[3]);
}
