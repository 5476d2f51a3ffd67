/* SPDX-License-Identifier: Apache-2.0 */
#include "raw/sweep.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "memory/buffer.h"
#include "process/clock.h"
#include "memory/copy.h"
#include "process/progress.h"
#include "raw/spec.h"

#define SPEC_MAX 512

/* The session of one number of rails. */
struct leg {
    struct sweep *sweep;
    uint32_t rails;
    char transport[SPEC_MAX];
    char devices[SPEC_MAX];
    struct raw *raw;
    struct sweep_point *points;
    size_t count;
};

struct buffers {
    uint8_t *from;
    uint8_t *to;
};

static enum ckpt_status open_leg(struct leg *leg, char *reason)
{
    struct raw_options options = leg->sweep->raw;
    const char *all = options.devices != NULL ? options.devices : "";
    if (leg->rails > 0) {
        if (!spec_first_rails(options.transport, all, leg->rails, leg->transport, leg->devices,
                              SPEC_MAX)) {
            return reason_refuse(
                reason, CKPT_ERR_CONFIG,
                "%u rails are more than the %u that were named (--devices=NAME,...)", leg->rails,
                spec_rail_count(options.transport, all));
        }
        /* Verbs finds the peer's rail that belongs to each of ours; UCX needs the same on both. */
        if (leg->devices[0] == '\0') {
            options.peer_transport = options.transport;
        }
        options.transport = leg->transport;
        options.devices = leg->devices[0] != '\0' ? leg->devices : NULL;
    }
    progress("raw: memory");
    return raw_open(&options, &leg->raw, reason);
}

/* Points that the transport cannot do are an error: a number for another size would be a lie. */
static enum ckpt_status lay_points(struct leg *leg, char *reason)
{
    struct sweep *sweep = leg->sweep;
    uint64_t own_slice = raw_slice_bytes(leg->raw);
    uint32_t own_depth = raw_depth(leg->raw);
    size_t slices = sweep->slice_count > 0 ? sweep->slice_count : 1;
    size_t depths = sweep->depth_count > 0 ? sweep->depth_count : 1;
    for (size_t i = 0; i < slices * depths; i++) {
        struct sweep_point *point = &leg->points[leg->count];
        point->rails = leg->rails;
        point->slice_bytes = sweep->slice_count > 0 ? sweep->slices[i % slices] : own_slice;
        point->depth = sweep->depth_count > 0 ? sweep->depths[i / slices] : own_depth;
        if (point->slice_bytes > raw_slice_bytes_max(leg->raw) ||
            point->depth > raw_depth_max(leg->raw)) {
            return reason_refuse(reason, CKPT_ERR_CONFIG,
                                 "%.60s takes reads of at most %" PRIu64 " bytes, %u at once",
                                 sweep->raw.transport, raw_slice_bytes_max(leg->raw),
                                 raw_depth_max(leg->raw));
        }
        leg->count++;
    }
    return CKPT_OK;
}

static uint64_t bytes_of(const struct sweep *sweep, const struct sweep_point *point)
{
    uint64_t most = sweep->reads_max * point->slice_bytes;
    return sweep->reads_max > 0 && most < sweep->bytes ? most : sweep->bytes;
}

static enum ckpt_status measure_beside(struct leg *leg, struct sweep_point *point, bool counts,
                                       char *reason)
{
    const struct sweep *sweep = leg->sweep;
    enum ckpt_status status = CKPT_OK;
    for (size_t i = 0; i < sweep->beside_count && status == CKPT_OK; i++) {
        struct beside_run run = {.transport = sweep->raw.transport,
                                 .devices = sweep->raw.devices,
                                 .slice_bytes = point->slice_bytes,
                                 .depth = point->depth,
                                 .bytes = bytes_of(sweep, point),
                                 .is_pinned = sweep->raw.is_pinned,
                                 .client_cpu = sweep->raw.reader_cpu,
                                 .server_cpu = sweep->raw.source_cpu,
                                 .spins = sweep->raw.spins};
        double theirs;
        status = beside_measure(&sweep->beside[i], &run, &theirs, reason);
        if (status == CKPT_OK && counts) {
            double ours = point->gbps.values[point->gbps.count - 1];
            samples_add(&point->beside[i], theirs);
            samples_add(&point->beside_ratio[i], ours / theirs);
        }
    }
    return status;
}

static enum ckpt_status visit(struct leg *leg, struct sweep_point *point, bool counts, char *reason)
{
    double seconds, cpu;
    struct raw_plan plan = {.bytes = bytes_of(leg->sweep, point),
                            .slice_bytes = point->slice_bytes,
                            .depth = point->depth,
                            .latency = counts ? &point->latency : NULL};
    enum ckpt_status status = CKPT_OK;
    if (leg->sweep->beside_count > 0) {
        /* The tool beside it ran for seconds, and warms up before it measures: so does this. */
        struct raw_plan warm_up = plan;
        warm_up.latency = NULL;
        status = raw_read(leg->raw, &warm_up, &seconds, &cpu, reason);
    }
    if (status == CKPT_OK) {
        status = raw_read(leg->raw, &plan, &seconds, &cpu, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (counts) {
        samples_add(&point->gbps, gbps(plan.bytes, seconds));
        samples_add(&point->cpu, cpu / (double)plan.bytes * 1e9);
    }
    return measure_beside(leg, point, counts, reason);
}

static enum ckpt_status copy_turn(struct sweep *sweep, struct buffers *buffers, bool counts,
                                  char *reason)
{
    double seconds;
    if (buffers->from == NULL) {
        return CKPT_OK;
    }
    enum ckpt_status status =
        copy_measure(buffers->to, buffers->from, sweep->bytes, sweep->copy_threads, &seconds);
    if (status != CKPT_OK) {
        reason_set(reason, "memcpy: %s", ckpt_status_text(status));
    } else if (counts) {
        samples_add(&sweep->copy_gbps, gbps(sweep->bytes, seconds));
    }
    return status;
}

static enum ckpt_status take_turns(struct leg *leg, struct buffers *buffers, char *reason)
{
    struct sweep *sweep = leg->sweep;
    enum ckpt_status status = CKPT_OK;
    for (uint32_t turn = 0; turn <= sweep->repeat && status == CKPT_OK; turn++) {
        status = copy_turn(sweep, buffers, turn > 0, reason);
        for (size_t i = 0; i < leg->count && status == CKPT_OK; i++) {
            progress_part(turn * leg->count + i, (sweep->repeat + UINT64_C(1)) * leg->count,
                          "raw: turn %u of %u, point %zu of %zu", turn, sweep->repeat, i + 1,
                          leg->count);
            status = visit(leg, &leg->points[i], turn > 0, reason);
        }
    }
    if (status == CKPT_OK && raw_verify(leg->raw) != CKPT_OK) {
        reason_set(reason, "other bytes were read than the source has");
        status = CKPT_ERR_CORRUPT;
    }
    return status;
}

/* After the session is open: what it complains of is known before memory is filled. */
static enum ckpt_status make_buffers(const struct sweep *sweep, struct buffers *buffers,
                                     char *reason)
{
    buffers->from = buffer_make(sweep->bytes);
    buffers->to = buffer_make(sweep->bytes);
    if (buffers->from == NULL || buffers->to == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY,
                             "no memory for two buffers of %" PRIu64 " bytes", sweep->bytes);
    }
    return CKPT_OK;
}

static enum ckpt_status run_leg(struct sweep *sweep, uint32_t rails, struct buffers *buffers,
                                char *reason)
{
    struct leg leg = {.sweep = sweep, .rails = rails, .points = &sweep->points[sweep->point_count]};
    enum ckpt_status status = open_leg(&leg, reason);
    if (status != CKPT_OK) {
        return status;
    }
    if (raw_peer_environment(leg.raw) != NULL && sweep->peer_environment == NULL) {
        sweep->peer_environment = json_deep_copy(raw_peer_environment(leg.raw));
    }
    if (raw_gpu_model(leg.raw) != NULL && sweep->gpu_model == NULL) {
        sweep->gpu_model = strdup(raw_gpu_model(leg.raw));
    }
    status = lay_points(&leg, reason);
    if (status == CKPT_OK && sweep->copy_threads > 0 && sweep->copy_gbps.count == 0) {
        status = make_buffers(sweep, buffers, reason);
    }
    if (status == CKPT_OK) {
        status = take_turns(&leg, buffers, reason);
    }
    sweep->point_count += leg.count;
    raw_close(&leg.raw);
    return status;
}

enum ckpt_status sweep_run(struct sweep *sweep, char *reason)
{
    struct buffers buffers = {.from = NULL};
    enum ckpt_status status = CKPT_OK;
    sweep->points = calloc(SWEEP_POINTS_MAX, sizeof(*sweep->points));
    if (sweep->points == NULL) {
        reason_set(reason, "no memory");
        status = CKPT_ERR_MEMORY;
    }
    for (size_t i = 0; status == CKPT_OK && (i == 0 || i < sweep->rail_count); i++) {
        status = run_leg(sweep, sweep->rail_count > 0 ? sweep->rails[i] : 0, &buffers, reason);
        buffer_free(&buffers.from, sweep->bytes); /* memcpy knows no rails: once is enough */
        buffer_free(&buffers.to, sweep->bytes);
    }
    return status;
}

void sweep_free(struct sweep *sweep)
{
    free(sweep->points);
    json_decref(sweep->peer_environment);
    sweep->points = NULL;
    sweep->peer_environment = NULL;
    free(sweep->gpu_model);
    sweep->gpu_model = NULL;
}

static const struct report_column columns[] = {
    {.key = "rails", .head = "rails"},
    {.key = "slice_bytes", .head = "slice", .is_bytes = true},
    {.key = "depth", .head = "depth"},
    {.key = "gbps", .head = "GB/s", .digits = 3},
    {.key = "gbps_min", .head = "min", .digits = 3},
    {.key = "gbps_max", .head = "max", .digits = 3},
    {.key = "gbit_per_s", .head = "Gb/s", .digits = 2},
    {.key = "messages_per_s", .head = "msg/s"},
    {.key = "cpu_s_per_gb", .head = "CPU s/GB", .digits = 3},
    {.key = "reads", .head = "reads"},
    {.key = "p50_us", .head = "p50 us", .digits = 1},
    {.key = "p90_us", .head = "p90", .digits = 1},
    {.key = "p99_us", .head = "p99", .digits = 1},
    {.key = "p999_us", .head = "p99.9", .digits = 1},
    {.key = "max_us", .head = "max us", .digits = 1},
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static double us(const struct latency *latency, double part)
{
    return latency_has_quantile(latency, part) ? (double)latency_quantile(latency, part) / 1e3
                                               : (double)NAN;
}

static void tell_point(const struct sweep *sweep, const struct sweep_point *point,
                       struct report *report)
{
    const struct latency *latency = &point->latency;
    double values[REPORT_COLUMNS_MAX] = {
        point->rails > 0 ? (double)point->rails : (double)NAN,
        (double)point->slice_bytes,
        point->depth,
        samples_median(&point->gbps),
        samples_min(&point->gbps),
        samples_max(&point->gbps),
        samples_median(&point->gbps) * 8,
        samples_median(&point->gbps) * 1e9 / (double)point->slice_bytes,
        samples_median(&point->cpu),
        (double)latency->count,
        us(latency, 0.5),
        us(latency, 0.9),
        us(latency, 0.99),
        us(latency, 0.999),
        latency->count > 0 ? (double)latency->greatest / 1e3 : NAN,
    };
    for (size_t i = 0; i < sweep->beside_count; i++) {
        values[COLUMNS + 2 * i] = samples_median(&point->beside[i]);
        values[COLUMNS + 2 * i + 1] = samples_median(&point->beside_ratio[i]);
    }
    report_point(report, NULL, values);
    report_point_samples(report, "gbps", &point->gbps);
    for (size_t i = 0; i < sweep->beside_count; i++) {
        char key[64];
        snprintf(key, sizeof(key), "%s_ratio", sweep->beside[i].name);
        report_point_samples(report, key, &point->beside_ratio[i]);
        snprintf(key, sizeof(key), "%s_gbps", sweep->beside[i].name);
        report_point_samples(report, key, &point->beside[i]);
    }
}

void sweep_tell(const struct sweep *sweep, struct report *report)
{
    struct report_column all[REPORT_COLUMNS_MAX];
    memcpy(all, columns, sizeof(columns));
    for (size_t i = 0; i < sweep->beside_count; i++) {
        struct report_column *theirs = &all[COLUMNS + 2 * i];
        const char *name = sweep->beside[i].name;
        theirs[0] = (struct report_column){.digits = 3};
        theirs[1] = (struct report_column){.digits = 3};
        snprintf(theirs[0].key, sizeof(theirs[0].key), "%s_gbps", name);
        snprintf(theirs[0].head, sizeof(theirs[0].head), "%.*s", (int)sizeof(theirs[0].head) - 1,
                 name);
        snprintf(theirs[1].key, sizeof(theirs[1].key), "%s_ratio", name);
        snprintf(theirs[1].head, sizeof(theirs[1].head), "ratio");
    }
    report_columns(report, NULL, all, COLUMNS + 2 * sweep->beside_count);
    for (size_t i = 0; i < sweep->point_count; i++) {
        tell_point(sweep, &sweep->points[i], report);
    }
}

_Static_assert(COLUMNS + 2 * BESIDE_MAX <= REPORT_COLUMNS_MAX, "every column fits");
