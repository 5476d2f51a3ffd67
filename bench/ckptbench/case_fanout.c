/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench fanout: a shard to all ranks of a group, beside each of them pulling it by itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/reason.h"
#include "case.h"
#include "case_fanout_group.h"
#include "memory/buffer.h"
#include "numbers.h"
#include "options.h"
#include "process/progress.h"
#include "report/report.h"

#define LIST_MAX 8

enum key {
    KEY_BYTES,
    KEY_RANKS,
    KEY_SENDERS,
    KEY_PIECE,
    KEY_ROAD,
    KEY_LINK,
    KEY_DIGEST,
    KEY_REPEAT,
    KEY_JSON,
    KEY_CSV,
    KEY_COUNT
};

static const char *const roads[] = {"auto", "nccl", "sockets", NULL};
static const char *const digests[] = {"blake3", "fingerprint", NULL};
static const char *const shapes[] = {"chain", "relay", "each by itself"};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = OPTION_BYTES("64MiB", 1 << 20, "of the shard, for which each rank has memory"),
    [KEY_RANKS] = {.name = "ranks",
                   .flag = "ranks",
                   .type = CONFIG_LIST,
                   .fallback = "2,4,8",
                   .placeholder = "N,...",
                   .help = "ranks of a group, its senders among them; 64 at most"},
    [KEY_SENDERS] = {.name = "senders",
                     .flag = "senders",
                     .type = CONFIG_LIST,
                     .fallback = "1",
                     .placeholder = "N,...",
                     .help = "how many of them have the shard"},
    [KEY_PIECE] = {.name = "piece_bytes",
                   .flag = "piece-bytes",
                   .type = CONFIG_LIST,
                   .fallback = "4MiB",
                   .placeholder = "SIZE,...",
                   .help = "1 to 64 MiB, whole MiB"},
    [KEY_ROAD] = {.name = "road",
                  .flag = "road",
                  .type = CONFIG_ENUM,
                  .choices = roads,
                  .fallback = "sockets",
                  .help = "TCP on loopback, or NCCL with a GPU a rank"},
    [KEY_LINK] = {.name = "link",
                  .flag = "link",
                  .type = CONFIG_BYTES,
                  .fallback = "0",
                  .min = 0,
                  .max = OPTION_AMOUNT_MAX,
                  .help = "bytes a second that a rank sends at most, over sockets, in place of a "
                          "NIC; 0: as fast as this machine goes, which all ranks share"},
    [KEY_DIGEST] = {.name = "digest",
                    .flag = "digest",
                    .type = CONFIG_ENUM,
                    .choices = digests,
                    .fallback = "fingerprint",
                    .help = "what pieces are proven by"},
    [KEY_REPEAT] = OPTION_REPEAT("5", "turns over all points, after one that is not counted"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench fanout",
    .version = CKPT_VERSION,
    .summary = "Measures how long it takes until all ranks of a group have a shard, proven, from "
               "those that hold it: down a chain, by relays, and each by itself from a holder. The "
               "ranks are threads of this process.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .examples = "  ckptbench fanout --link=100MiB --json=fanout.json\n"
                "  ckptbench fanout --ranks=8 --senders=1,2,4 --piece-bytes=1MiB,4MiB,16MiB\n"
                "  ckptbench fanout --road=nccl --bytes=4GiB --ranks=8\n",
};

struct point {
    uint32_t ranks;
    uint32_t senders;
    uint64_t piece_bytes;
    struct samples seconds[FANOUT_STAR + 1];
    struct samples ratio[FANOUT_STAR + 1]; /* to each by itself, of the same turn */
};

struct fanout {
    uint8_t *shard;
    uint64_t bytes;
    uint8_t digest[32];
    uint32_t road;
    uint32_t digest_kind;
    uint64_t link_bytes_s;
    uint32_t repeat;
    size_t count;
    struct point *points;
};

static enum ckpt_status list_points(const struct config *config, struct fanout *fanout,
                                    char *reason)
{
    uint64_t ranks[LIST_MAX];
    uint64_t senders[LIST_MAX];
    uint64_t pieces[LIST_MAX];
    size_t counts[3];
    if (!numbers_read(config, KEY_RANKS, CONFIG_INTEGER, 2, GROUP_RANKS_MAX, ranks, LIST_MAX,
                      &counts[0], reason) ||
        !numbers_read(config, KEY_SENDERS, CONFIG_INTEGER, 1, GROUP_RANKS_MAX, senders, LIST_MAX,
                      &counts[1], reason) ||
        !numbers_read(config, KEY_PIECE, CONFIG_BYTES, CKPT_MIB, FANOUT_PIECE_BYTES_MAX, pieces,
                      LIST_MAX, &counts[2], reason)) {
        return CKPT_ERR_CONFIG;
    }
    for (size_t i = 0; i < counts[0] * counts[1] * counts[2]; i++) {
        size_t piece = i % counts[2];
        size_t sender = i / counts[2] % counts[1];
        size_t rank = i / counts[2] / counts[1];
        if (pieces[piece] % CKPT_MIB != 0) {
            return reason_refuse(reason, CKPT_ERR_CONFIG, "--piece-bytes: whole MiB are wanted");
        }
        if (senders[sender] < ranks[rank]) {
            struct point *point = &fanout->points[fanout->count++];
            point->ranks = (uint32_t)ranks[rank];
            point->senders = (uint32_t)senders[sender];
            point->piece_bytes = pieces[piece];
        }
    }
    return fanout->count > 0 ? CKPT_OK
                             : reason_refuse(reason, CKPT_ERR_CONFIG,
                                             "--senders: no group has a rank that is none");
}

static enum ckpt_status prepare(const struct config *config, void *work, char *reason)
{
    struct fanout *fanout = work;
    fanout->bytes = (uint64_t)config_number(config, KEY_BYTES);
    fanout->road = (uint32_t)config_number(config, KEY_ROAD);
    fanout->digest_kind =
        config_number(config, KEY_DIGEST) == 0 ? CKPT_DIGEST_BLAKE3 : CKPT_DIGEST_FINGERPRINT;
    fanout->link_bytes_s = (uint64_t)config_number(config, KEY_LINK);
    fanout->repeat = (uint32_t)config_number(config, KEY_REPEAT);
    fanout->points = calloc((size_t)LIST_MAX * LIST_MAX * LIST_MAX, sizeof(*fanout->points));
    fanout->shard = buffer_make((size_t)fanout->bytes);
    if (fanout->points == NULL || fanout->shard == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for %" PRIu64 " bytes",
                             fanout->bytes);
    }
    enum ckpt_status status = list_points(config, fanout, reason);
    if (status == CKPT_OK) {
        buffer_fill(fanout->shard, (size_t)fanout->bytes, 1);
        group_shard(fanout->shard, fanout->bytes, fanout->digest);
    }
    return status;
}

static enum ckpt_status measure_point(const struct fanout *fanout, struct point *point, bool counts,
                                      char *reason)
{
    double seconds[FANOUT_STAR + 1];
    for (uint32_t shape = FANOUT_CHAIN; shape <= FANOUT_STAR; shape++) {
        struct group_options options = {.ranks = point->ranks,
                                        .senders = point->senders,
                                        .road = fanout->road,
                                        .shape = shape,
                                        .digest_kind = fanout->digest_kind,
                                        .piece_bytes = point->piece_bytes,
                                        .link_bytes_s = fanout->link_bytes_s,
                                        .shard = fanout->shard,
                                        .bytes = fanout->bytes,
                                        .digest = fanout->digest};
        enum ckpt_status status = group_run(&options, &seconds[shape], reason);
        if (status != CKPT_OK) {
            return status;
        }
    }
    for (uint32_t shape = FANOUT_CHAIN; shape <= FANOUT_STAR && counts; shape++) {
        samples_add(&point->seconds[shape], seconds[shape]);
        samples_add(&point->ratio[shape], seconds[FANOUT_STAR] / seconds[shape]);
    }
    return CKPT_OK;
}

static enum ckpt_status measure(void *work, char *reason)
{
    struct fanout *fanout = work;
    for (uint32_t turn = 0; turn <= fanout->repeat; turn++) {
        for (size_t i = 0; i < fanout->count; i++) {
            struct point *point = &fanout->points[i];
            progress_part(turn * fanout->count + i, (fanout->repeat + 1) * fanout->count,
                          "fanout: turn %u of %u, %u ranks", turn, fanout->repeat, point->ranks);
            enum ckpt_status status = measure_point(fanout, point, turn > 0, reason);
            if (status != CKPT_OK) {
                return status;
            }
        }
    }
    return CKPT_OK;
}

static void tell_points(const struct fanout *fanout, struct report *report)
{
    static const struct report_column columns[] = {
        {.key = "ranks", .head = "ranks"},
        {.key = "senders", .head = "senders"},
        {.key = "piece_bytes", .head = "piece", .is_bytes = true},
        {.key = "seconds", .head = "s", .digits = 3},
        {.key = "gbps", .head = "GB/s a rank", .digits = 3},
        {.key = "sent_bytes", .head = "", .is_bytes = true},
        {.key = "speedup", .head = "x each by itself", .digits = 2},
    };
    report_columns(report, "shape", columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < fanout->count; i++) {
        const struct point *point = &fanout->points[i];
        for (uint32_t shape = FANOUT_CHAIN; shape <= FANOUT_STAR; shape++) {
            double seconds = samples_median(&point->seconds[shape]);
            uint64_t times = shape == FANOUT_STAR ? point->ranks - point->senders : 1;
            const double values[] = {point->ranks,
                                     point->senders,
                                     (double)point->piece_bytes,
                                     seconds,
                                     (double)fanout->bytes / seconds / 1e9,
                                     (double)(fanout->bytes * times),
                                     samples_median(&point->ratio[shape])};
            report_point(report, shapes[shape], values);
            report_point_samples(report, "seconds", &point->seconds[shape]);
            report_point_samples(report, "speedup", &point->ratio[shape]);
        }
    }
}

static bool tell(void *work, const struct config *config)
{
    const struct fanout *fanout = work;
    char title[160];
    snprintf(title, sizeof(title), "A shard of %" PRIu64 " MiB to all ranks of a group, %s, %s",
             fanout->bytes / CKPT_MIB, config_text(config, KEY_ROAD),
             config_text(config, KEY_DIGEST));
    struct report *report = report_make("fanout", title);
    if (report == NULL) {
        return false;
    }
    report_set_integer(report, "bytes", fanout->bytes);
    report_set_integer(report, "link_bytes_s", fanout->link_bytes_s);
    report_set_integer(report, "repeat", fanout->repeat);
    report_set_text(report, "road", config_text(config, KEY_ROAD));
    report_set_text(report, "digest", config_text(config, KEY_DIGEST));
    if (fanout->link_bytes_s > 0) {
        report_say(report, "each rank sends %.2f GB/s at most: what a source's link would carry",
                   (double)fanout->link_bytes_s / 1e9);
    } else if (fanout->road == CKPT_FANOUT_SOCKETS) {
        report_say(report, "no link is the bound: all ranks share this machine's cores and memory");
    }
    tell_points(fanout, report);
    bool given = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                            config_text(config, KEY_CSV)});
    report_free(&report);
    return given;
}

static void close_fanout(void *work)
{
    struct fanout *fanout = work;
    buffer_free(&fanout->shard, (size_t)fanout->bytes);
    free(fanout->points);
}

const struct bench_case case_fanout = {
    .name = "fanout",
    .summary = "a shard to all ranks of a group, beside each pulling it by itself",
    .program = &program,
    .bytes = sizeof(struct fanout),
    .prepare = prepare,
    .measure = measure,
    .tell = tell,
    .close = close_fanout};
