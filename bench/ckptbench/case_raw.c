/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench raw: what the machine and the transport can do without us: memcpy and a raw read, in
 * turn. */
#include <inttypes.h>
#include <stdlib.h>

#include "buffer.h"
#include "case.h"
#include "clock.h"
#include "copy.h"
#include "progress.h"
#include "raw.h"
#include "report.h"

enum key {
    KEY_BYTES,
    KEY_TRANSPORT,
    KEY_SEGMENT,
    KEY_SLICE,
    KEY_DEPTH,
    KEY_THREADS,
    KEY_REPEAT,
    KEY_JSON,
    KEY_COUNT
};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = {.name = "bytes",
                   .flag = "bytes",
                   .letter = 'b',
                   .type = CONFIG_BYTES,
                   .fallback = "1GiB",
                   .min = 1 << 20,
                   .max = INT64_C(1) << 40,
                   .help = "how much is copied, and read, each time"},
    [KEY_TRANSPORT] = {.name = "transport",
                       .flag = "transport",
                       .letter = 't',
                       .type = CONFIG_STRING,
                       .fallback = "ucx:tcp",
                       .placeholder = "SPEC",
                       .help = "data plane: ucx, ucx:tcp, ucx:shm"},
    [KEY_SEGMENT] = {.name = "segment_bytes",
                     .flag = "segment-bytes",
                     .type = CONFIG_BYTES,
                     .fallback = "64MiB",
                     .min = CKPT_SEGMENT_BYTES_MIN,
                     .max = INT64_C(1) << 40,
                     .help = "size of one registered region"},
    [KEY_SLICE] = {.name = "slice_bytes",
                   .flag = "slice-bytes",
                   .type = CONFIG_BYTES,
                   .fallback = "0",
                   .max = 1 << 30,
                   .help = "bytes of one read, whole MiB; 0: what the transport likes"},
    [KEY_DEPTH] = {.name = "depth",
                   .flag = "depth",
                   .type = CONFIG_INTEGER,
                   .fallback = "0",
                   .max = 4096,
                   .help = "reads in flight; 0: what the transport likes"},
    [KEY_THREADS] = {.name = "copy_threads",
                     .flag = "copy-threads",
                     .type = CONFIG_INTEGER,
                     .fallback = "1",
                     .min = 1,
                     .max = 64,
                     .help = "threads of the memcpy"},
    [KEY_REPEAT] = {.name = "repeat",
                    .flag = "repeat",
                    .letter = 'r',
                    .type = CONFIG_INTEGER,
                    .fallback = "7",
                    .min = 1,
                    .max = 1000,
                    .help = "turns, after one that is not counted"},
    [KEY_JSON] = {.name = "json",
                  .flag = "json",
                  .type = CONFIG_STRING,
                  .placeholder = "FILE",
                  .help = "also write the result as JSON; - is standard output"},
};

static const struct config_program program = {
    .name = "ckptbench raw",
    .version = CKPT_VERSION,
    .summary = "Measures memcpy between faulted-in buffers, and a read of the same size by the "
               "transport from another process, in turn, with nothing else: no digest, no agent.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .examples = "  ckptbench raw --transport=ucx:tcp --bytes=1GiB\n"
                "  ckptbench raw --transport=ucx:shm --slice-bytes=4MiB --depth=4\n",
};

struct turns {
    uint64_t bytes;
    uint32_t threads;
    uint8_t *from;
    uint8_t *to;
    struct raw *raw;
    struct samples copy;
    struct samples read;
    struct samples cpu; /* seconds a GB, of both processes */
};

/* The first turn warms everything up. */
static enum ckpt_status take_turns(struct turns *turns, uint32_t repeat, char *reason)
{
    for (uint32_t i = 0; i <= repeat; i++) {
        double copy;
        double read;
        double cpu;
        progress("raw: turn %u of %u", i, repeat);
        enum ckpt_status status =
            copy_measure(turns->to, turns->from, turns->bytes, turns->threads, &copy);
        if (status == CKPT_OK) {
            status = raw_read(turns->raw, &read, &cpu, reason);
        }
        if (status != CKPT_OK) {
            return status;
        }
        if (i > 0) {
            samples_add(&turns->copy, gbps(turns->bytes, copy));
            samples_add(&turns->read, gbps(turns->bytes, read));
            samples_add(&turns->cpu, cpu / (double)turns->bytes * 1e9);
        }
    }
    return CKPT_OK;
}

static bool tell(const struct turns *turns, const struct config *config)
{
    struct report *report = report_make("raw", "Memory and transport alone, 10^9 bytes a second");
    if (report == NULL) {
        return false;
    }
    report_set_integer(report, "bytes", turns->bytes);
    report_set_text(report, "transport", config_text(config, KEY_TRANSPORT));
    report_set_integer(report, "slice_bytes", raw_slice_bytes(turns->raw));
    report_set_integer(report, "depth", raw_depth(turns->raw));
    report_set_integer(report, "copy_threads", turns->threads);
    report_add(report, "memcpy_gbps", "memcpy", "GB/s", 2, &turns->copy);
    report_note(report, "%u thread%s", turns->threads, turns->threads == 1 ? "" : "s");
    report_add(report, "raw_read_gbps", "raw read", "GB/s", 2, &turns->read);
    report_note(report, "%s, %" PRIu64 " MiB x %u", config_text(config, KEY_TRANSPORT),
                raw_slice_bytes(turns->raw) / CKPT_MIB, raw_depth(turns->raw));
    report_add(report, "raw_read_cpu_s_per_gb", "  CPU of both processes", "s/GB", 3, &turns->cpu);
    bool given = report_give(report, config_text(config, KEY_JSON));
    report_free(&report);
    return given;
}

static enum ckpt_status measure(struct turns *turns, const struct config *config, char *reason)
{
    struct raw_options options = {
        .transport = config_text(config, KEY_TRANSPORT),
        .bytes = turns->bytes,
        .segment_bytes = (uint64_t)config_number(config, KEY_SEGMENT),
        .slice_bytes = (uint64_t)config_number(config, KEY_SLICE),
        .depth = (uint32_t)config_number(config, KEY_DEPTH),
    };
    progress("raw: memory");
    enum ckpt_status status = raw_open(&options, &turns->raw, reason);
    if (status != CKPT_OK) {
        return status;
    }
    turns->from = buffer_make(turns->bytes);
    turns->to = buffer_make(turns->bytes);
    if (turns->from == NULL || turns->to == NULL) {
        snprintf(reason, CKPT_REASON_MAX + 1, "no memory for two buffers of %" PRIu64 " bytes",
                 turns->bytes);
        return CKPT_ERR_MEMORY;
    }
    buffer_fill(turns->from, turns->bytes, 1);
    status = take_turns(turns, (uint32_t)config_number(config, KEY_REPEAT), reason);
    if (status == CKPT_OK) {
        status = raw_verify(turns->raw);
        if (status != CKPT_OK) {
            snprintf(reason, CKPT_REASON_MAX + 1, "other bytes were read than the source has");
        }
    }
    return status;
}

static enum bench_exit run(int argc, char **argv)
{
    struct config *config;
    enum bench_exit code;
    char reason[CKPT_REASON_MAX + 1] = "";
    if (!case_options(&program, argc, argv, &config, &code)) {
        return code;
    }
    struct turns *turns = calloc(1, sizeof(*turns));
    if (turns == NULL) {
        config_delete(&config);
        return BENCH_FAILED;
    }
    turns->bytes = (uint64_t)config_number(config, KEY_BYTES);
    turns->threads = (uint32_t)config_number(config, KEY_THREADS);
    enum ckpt_status status = measure(turns, config, reason);
    code = BENCH_FAILED;
    if (status != CKPT_OK) {
        case_complain("raw: %s", reason[0] != '\0' ? reason : ckpt_status_text(status));
    } else if (tell(turns, config)) {
        code = BENCH_OK;
    }
    raw_close(&turns->raw);
    buffer_free(&turns->from, turns->bytes);
    buffer_free(&turns->to, turns->bytes);
    free(turns);
    config_delete(&config);
    return code;
}

const struct bench_case case_raw = {
    .name = "raw", .summary = "memcpy, and the transport alone between two processes", .run = run};
