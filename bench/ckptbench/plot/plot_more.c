/* SPDX-License-Identifier: Apache-2.0 */
/* The smaller cases. */
#include <math.h>
#include <string.h>

#include "plot/plot.h"

size_t plot_digest(const struct result *results, size_t count, struct chart *charts_out)
{
    static const struct {
        const char *key, *name;
    } bars[] = {{"b3sum_gbps", "b3sum"},   {"b3sum_user_gbps", "b3sum, user time"},
                {"scalar_gbps", "scalar"}, {"sse41_gbps", "sse41"},
                {"avx2_gbps", "avx2"},     {"avx512_gbps", "avx512"},
                {"neon_gbps", "neon"}};
    struct chart *chart = &charts_out[0];
    *chart = (struct chart){.title = "BLAKE3 on one thread",
                            .x_title = "engine; median, least and greatest",
                            .y_title = "GB/s (10^9 bytes a second)",
                            .bars = true};
    for (size_t i = 0; i < count; i++) {
        struct chart_series *series = chart_series_add(chart, (int)i, "%s", results[i].label);
        for (size_t j = 0; j < sizeof(bars) / sizeof(bars[0]); j++) {
            double value = result_number(results[i].json, bars[j].key);
            if (!isnan(value)) {
                chart_point_add(chart, series, (double)chart_category(chart, bars[j].name), value,
                                result_min(&results[i], bars[j].key),
                                result_max(&results[i], bars[j].key));
            }
        }
    }
    return 1;
}

/* Every key "PREFIX_us_per_agent_N". */
static void add_growth(struct chart *chart, struct chart_series *series,
                       const struct result *result, const char *prefix)
{
    char start[64];
    const char *key;
    json_t *value;
    size_t length = (size_t)snprintf(start, sizeof(start), "%s_us_per_agent_", prefix);
    json_object_foreach(result->json, key, value)
    {
        unsigned agents;
        if (strncmp(key, start, length) == 0 && sscanf(key + length, "%u", &agents) == 1) {
            chart_point_add(chart, series, agents, result_number(result->json, key), (double)NAN,
                            (double)NAN);
        }
    }
}

size_t plot_scale(const struct result *results, size_t count, struct chart *charts_out)
{
    static const struct {
        const char *prefix, *name;
    } lines[] = {{"join", "join"},
                 {"checkpoint", "a checkpoint"},
                 {"next_checkpoint", "the next, which retires the first"},
                 {"heartbeat", "heartbeat"}};
    struct chart *chart = &charts_out[0];
    *chart = (struct chart){.title = "The coordinator's CPU time an agent",
                            .x_title = "agents of the cluster",
                            .y_title = "microseconds an agent",
                            .x_scale = AXIS_COUNT,
                            .y_scale = AXIS_LOG};
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sizeof(lines) / sizeof(lines[0]); j++) {
            struct chart_series *series =
                chart_series_add(chart, (int)j, "%.30s%s%s", count > 1 ? results[i].label : "",
                                 count > 1 ? ", " : "", lines[j].name);
            series->dashed = i % 2 == 1;
            add_growth(chart, series, &results[i], lines[j].prefix);
        }
    }
    return 1;
}

/* A category for each point's label. */
static void add_labelled(const struct result *results, size_t count, const char *key,
                         struct chart *chart)
{
    char low[64];
    char high[64];
    snprintf(low, sizeof(low), "%s_min", key);
    snprintf(high, sizeof(high), "%s_max", key);
    chart->bars = true;
    for (size_t i = 0; i < count; i++) {
        const json_t *points = json_object_get(results[i].json, "points");
        struct chart_series *series = chart_series_add(chart, (int)i, "%s", results[i].label);
        for (size_t j = 0; j < json_array_size(points); j++) {
            const json_t *point = json_array_get(points, j);
            const char *label = result_text(point, "label");
            chart_point_add(chart, series, (double)chart_category(chart, label),
                            result_number(point, key), result_number(point, low),
                            result_number(point, high));
        }
    }
}

size_t plot_rails(const struct result *results, size_t count, struct chart *charts_out)
{
    charts_out[0] = (struct chart){.title = "Rails: alone, together, and as chosen",
                                   .x_title = "rails; median, least and greatest",
                                   .y_title = "GB/s (10^9 bytes a second)"};
    add_labelled(results, count, "gbps", &charts_out[0]);
    return 1;
}

size_t plot_register(const struct result *results, size_t count, struct chart *charts_out)
{
    charts_out[0] = (struct chart){.title = "Registering memory that is there",
                                   .x_title = "lower is better; median, least and greatest",
                                   .y_title = "milliseconds a GiB"};
    add_labelled(results, count, "ms_per_gib", &charts_out[0]);
    return 1;
}
