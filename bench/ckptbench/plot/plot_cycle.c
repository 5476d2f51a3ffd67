/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint's life: speeds under their rooflines,
 * ratios and their targets, what the CPUs paid. */
#include <math.h>

#include "plot/plot.h"
#include "report/targets.h"

struct bar_of {
    const char *name;
    const char *key;
    const char *roof; /* the key of its roofline; NULL: none */
};

static void add_bars(const struct result *results, size_t count, const struct bar_of *bars,
                     size_t bar_count, struct chart *chart)
{
    chart->bars = true;
    for (size_t j = 0; j < bar_count; j++) {
        chart_category(chart, bars[j].name);
    }
    for (size_t i = 0; i < count; i++) {
        const struct result *result = &results[i];
        struct chart_series *series = chart_series_add(chart, (int)i, "%s", result->label);
        for (size_t j = 0; j < bar_count; j++) {
            chart_point_add(chart, series, (double)j, result_number(result->json, bars[j].key),
                            result_min(result, bars[j].key), result_max(result, bars[j].key));
            if (bars[j].roof != NULL) {
                chart_mark_add(chart, CHART_ROOF, j, i, result_number(result->json, bars[j].roof),
                               "");
            }
        }
    }
}

static void plot_speeds(const struct result *results, size_t count, struct chart *chart)
{
    static const struct bar_of bars[] = {{"memcpy", "memcpy_gbps", NULL},
                                         {"save", "save_gbps", NULL},
                                         {"digest", "digest_gbps", NULL},
                                         {"raw read", "raw_read_gbps", NULL},
                                         {"replicate", "replicate_gbps", "replicate_roof_gbps"},
                                         {"restore", "restore_gbps", "restore_roof_gbps"}};
    *chart = (struct chart){.title = "A checkpoint's way: speed of each part",
                            .x_title = "median; whiskers: the least and the greatest",
                            .y_title = "GB/s (10^9 bytes a second)"};
    add_bars(results, count, bars, sizeof(bars) / sizeof(bars[0]), chart);
}

/* Where it holds for the sizes of all results. */
static void mark_target(const struct result *results, size_t count, const char *key,
                        size_t category, struct chart *chart)
{
    const struct target *target = target_find(key);
    for (size_t i = 0; target != NULL && i < count; i++) {
        double bytes = result_number(results[i].json, "bytes");
        if (isnan(bytes) || !target_holds_for(target, (uint64_t)bytes)) {
            return;
        }
    }
    if (target != NULL) {
        chart_mark_add(chart, CHART_LIMIT, category, 0, target->limit, "target ");
    }
}

static void plot_ratios(const struct result *results, size_t count, struct chart *chart)
{
    static const struct bar_of bars[] = {{"save / memcpy", "stall_ratio", NULL},
                                         {"replicate / raw read", "replicate_ratio", NULL},
                                         {"restore / raw read", "restore_ratio", NULL}};
    *chart = (struct chart){.title = "Ratios, each formed within a turn",
                            .x_title = "higher is better",
                            .y_title = "ratio"};
    add_bars(results, count, bars, sizeof(bars) / sizeof(bars[0]), chart);
    for (size_t j = 0; j < sizeof(bars) / sizeof(bars[0]); j++) {
        mark_target(results, count, bars[j].key, j, chart);
    }
}

static void plot_small(const struct result *results, size_t count, struct chart *chart)
{
    static const struct bar_of bars[] = {{"save of 1 MiB", "save_small_ms", NULL},
                                         {"its way to CONSISTENT", "consistent_small_ms", NULL}};
    *chart = (struct chart){.title = "A small shard: what is left without bandwidth",
                            .x_title = "lower is better; median, and the greatest",
                            .y_title = "milliseconds",
                            .y_scale = AXIS_LINEAR};
    add_bars(results, count, bars, sizeof(bars) / sizeof(bars[0]), chart);
    for (size_t i = 0; i < chart->series_count; i++) { /* a rare outlier would be all there is */
        for (size_t j = 0; j < chart->series[i].count; j++) {
            chart->series[i].high[j] = (double)NAN;
        }
    }
    snprintf(chart->x_title, sizeof(chart->x_title), "lower is better; median");
    mark_target(results, count, "save_small_ms", 0, chart);
}

static void plot_cpu(const struct result *results, size_t count, struct chart *chart)
{
    static const struct bar_of bars[] = {{"raw read, both ends", "raw_read_cpu_s_per_gb", NULL},
                                         {"replicate", "replicate_cpu_s_per_gb", NULL},
                                         {"restore", "restore_cpu_s_per_gb", NULL}};
    *chart = (struct chart){.title = "CPU time of all processes",
                            .x_title = "lower is better",
                            .y_title = "CPU seconds a GB"};
    add_bars(results, count, bars, sizeof(bars) / sizeof(bars[0]), chart);
}

size_t plot_cycle(const struct result *results, size_t count, struct chart *charts_out)
{
    plot_speeds(results, count, &charts_out[0]);
    plot_ratios(results, count, &charts_out[1]);
    plot_small(results, count, &charts_out[2]);
    plot_cpu(results, count, &charts_out[3]);
    return 4;
}
