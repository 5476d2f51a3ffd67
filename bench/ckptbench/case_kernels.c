/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench kernels: each kernel on a GPU, beside its roofline and the device's own copy. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/reason.h"
#include "case.h"
#include "case_kernels_prove.h"
#include "case_kernels_roofline.h"
#include "memory/buffer.h"
#include "options.h"
#include "process/progress.h"
#include "report/report.h"

#define TENSOR_BYTES CKPT_MIB
#define PATTERN_BYTES (UINT64_C(64) << 20)

enum key { KEY_BYTES, KEY_GPU, KEY_PROVE, KEY_REPEAT, KEY_JSON, KEY_CSV, KEY_COUNT };

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = OPTION_BYTES("1GiB", 1 << 20,
                               "of the shard, or without the flag what fits; the GPU needs a "
                               "little more than twice as many"),
    [KEY_GPU] = {.name = "gpu",
                 .flag = "gpu",
                 .type = CONFIG_INTEGER,
                 .fallback = "0",
                 .max = OPTION_GPU_MAX,
                 .help = "the GPU, as CUDA counts them"},
    [KEY_PROVE] = {.name = "prove",
                   .flag = "prove",
                   .type = CONFIG_BOOL,
                   .fallback = "no",
                   .help = "only compare results with the host's, measure nothing"},
    [KEY_REPEAT] = OPTION_REPEAT("11", "turns over all kernels, after one that is not counted"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench kernels",
    .version = CKPT_VERSION,
    .summary = "Proves each kernel of libckpt_kernels on a GPU against the host's results, then "
               "measures it beside the device's own copy and beside what its instructions and the "
               "device's memory allow. A wrong result ends it with exit status 1 and is named.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .examples = "  ckptbench kernels --json=kernels.json\n"
                "  ckptbench kernels --gpu=3 --bytes=8GiB --repeat=31\n"
                "  ckptbench kernels --prove\n",
};

struct kernels {
    struct gpu gpu;
    struct kernel_work work;
    struct fingerprint_key key;
    int ordinal;
    uint64_t bytes; /* 0: what fits, 1 GiB at most */
    uint32_t repeat;
    bool only_proves;
    struct samples seconds[STEP_COUNT];
    struct samples of_copy[STEP_COUNT]; /* traffic of memory over the copy's, of the same turn */
};

static enum ckpt_status prepare(const struct config *config, void *work, char *reason)
{
    static const uint8_t secret[FINGERPRINT_SECRET_BYTES] = {1}; /* guards nothing here */
    struct kernels *kernels = work;
    bool is_asked = config_source(config, KEY_BYTES) != CONFIG_FROM_DEFAULT;
    kernels->bytes = is_asked ? (uint64_t)config_number(config, KEY_BYTES) : 0;
    kernels->ordinal = (int)config_number(config, KEY_GPU);
    kernels->repeat = (uint32_t)config_number(config, KEY_REPEAT);
    fingerprint_key_derive(secret, &kernels->key);
    enum ckpt_status status = gpu_open(kernels->ordinal, &kernels->gpu, reason);
    kernels->only_proves = config_flag(config, KEY_PROVE) || kernels->gpu.is_stand_in;
    return status;
}

/* A tenth of what is free is left to others. */
static enum ckpt_status choose_bytes(struct kernels *kernels, char *reason)
{
    uint64_t fits = work_fits(kernels->gpu.free_bytes / 10 * 9, TENSOR_BYTES);
    if (kernels->bytes == 0) {
        kernels->bytes = fits < CKPT_GIB ? fits : CKPT_GIB;
    }
    return kernels->bytes > 0
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_MEMORY,
                               "GPU: %" PRIu64 " bytes of its memory are free, which "
                               "is too little to measure with",
                               kernels->gpu.free_bytes);
}

/* Numbers as weights are: any, but all of them finite, as BF16 and as F32. */
static enum ckpt_status fill_shard(struct kernels *kernels, char *reason)
{
    uint8_t *pattern = buffer_make(PATTERN_BYTES);
    enum ckpt_status status = CKPT_OK;
    if (pattern == NULL) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for what the shard is filled by");
    }
    buffer_fill(pattern, PATTERN_BYTES, 1);
    for (uint64_t i = 1; i < PATTERN_BYTES; i += 2) {
        pattern[i] &= 0xbf;
    }
    for (uint64_t at = 0; at < kernels->bytes && status == CKPT_OK; at += PATTERN_BYTES) {
        uint64_t left = kernels->bytes - at;
        status = gpu_write(&kernels->gpu, kernels->work.shard + at, pattern,
                           left < PATTERN_BYTES ? left : PATTERN_BYTES, reason);
    }
    buffer_free(&pattern, PATTERN_BYTES);
    return status;
}

static enum ckpt_status run_turn(struct kernels *kernels, bool counts, char *reason)
{
    double seconds[STEP_COUNT];
    for (int step = 0; step < STEP_COUNT; step++) {
        enum ckpt_status status =
            work_run(&kernels->work, (enum kernel_step)step, &seconds[step], reason);
        if (status != CKPT_OK) {
            return status;
        }
    }
    for (int step = 0; step < STEP_COUNT && counts; step++) {
        double crossings = roofline_crossings((enum kernel_step)step);
        samples_add(&kernels->seconds[step], seconds[step]);
        if (crossings > 0) {
            samples_add(&kernels->of_copy[step], crossings / roofline_crossings(STEP_COPY) *
                                                     seconds[STEP_COPY] / seconds[step]);
        }
    }
    return CKPT_OK;
}

static enum ckpt_status measure(void *work, char *reason)
{
    struct kernels *kernels = work;
    struct kernels_key key;
    progress("kernels: proving them");
    enum ckpt_status status = prove_kernels(&kernels->gpu, &kernels->key, reason);
    if (status != CKPT_OK || kernels->only_proves) {
        return status;
    }
    prove_key(&kernels->key, &key);
    status = choose_bytes(kernels, reason);
    if (status == CKPT_OK) {
        status =
            work_make(&kernels->gpu, kernels->bytes, TENSOR_BYTES, &key, &kernels->work, reason);
    }
    if (status == CKPT_OK) {
        status = fill_shard(kernels, reason);
    }
    for (uint32_t turn = 0; turn <= kernels->repeat && status == CKPT_OK; turn++) {
        progress_part(turn, kernels->repeat + 1, "kernels: turn %u of %u", turn, kernels->repeat);
        status = run_turn(kernels, turn > 0, reason);
    }
    return status;
}

static void tell_proven(struct report *report)
{
    static const struct report_column columns[] = {
        {.key = "proven_bytes", .head = "proven, bytes"},
    };
    const double proven = (double)PROVE_BYTES;
    report_columns(report, "kernel", columns, 1);
    for (int step = 0; step < STEP_COUNT; step++) {
        report_point(report, kernel_step_names[step], &proven);
    }
}

static void tell_measured(const struct kernels *kernels, struct report *report)
{
    static const struct report_column columns[] = {
        {.key = "us", .head = "us", .digits = 1},
        {.key = "gbps", .head = "GB/s", .digits = 1},
        {.key = "gbps_min", .head = "min", .digits = 1},
        {.key = "gbps_max", .head = "max", .digits = 1},
        {.key = "of_copy", .head = "x copy", .digits = 3},
        {.key = "roofline_gbps", .head = "roofline", .digits = 1},
        {.key = "of_roofline", .head = "x roofline", .digits = 3},
        {.key = "proven_bytes", .head = ""},
    };
    report_columns(report, "kernel", columns, sizeof(columns) / sizeof(columns[0]));
    for (int step = 0; step < STEP_COUNT; step++) {
        const struct samples *seconds = &kernels->seconds[step];
        bool is_launch = roofline_crossings((enum kernel_step)step) == 0;
        double gb = is_launch ? NAN : (double)kernels->bytes / 1e9;
        double roofline = roofline_bytes_s((enum kernel_step)step, &kernels->gpu) / 1e9;
        double gbps = gb / samples_median(seconds);
        const double values[] = {samples_median(seconds) * 1e6,
                                 gbps,
                                 gb / samples_max(seconds),
                                 gb / samples_min(seconds),
                                 is_launch ? NAN : samples_median(&kernels->of_copy[step]),
                                 roofline,
                                 gbps / roofline,
                                 (double)PROVE_BYTES};
        report_point(report, kernel_step_names[step], values);
        report_point_samples(report, "seconds", seconds);
        report_point_samples(report, "of_copy", &kernels->of_copy[step]);
    }
}

static void say_how(const struct kernels *kernels, struct report *report)
{
    const struct gpu *gpu = &kernels->gpu;
    report_say(report,
               "each kernel's results are the host's, for shards of up to %" PRIu64 " bytes",
               PROVE_BYTES);
    if (gpu->is_stand_in) {
        report_say(report, "this is a stand-in on the CPU: it proves, and no speed is measured");
    }
    if (!kernels->only_proves) {
        report_say(report, "x copy: what crosses the memory's wires beside the device's own copy, "
                           "whose bytes are read and written");
        report_say(report,
                   "roofline: %.0f multiprocessors at %.2f GHz, %.0f GB/s of memory, as the driver "
                   "says, and",
                   gpu->processors, gpu->clock_hz / 1e9, gpu->memory_bytes_s / 1e9);
        report_say(report, "  instructions as docs/kernels.md counts them; of counting every path, "
                           "finite numbers take fewer");
    }
}

static bool tell(void *work, const struct config *config)
{
    const struct kernels *kernels = work;
    char title[GPU_MODEL_MAX + 64];
    snprintf(title, sizeof(title), "Kernels on GPU %d, %s", kernels->ordinal, kernels->gpu.model);
    struct report *report = report_make("kernels", title);
    if (report == NULL) {
        return false;
    }
    report_set_text(report, "gpu", kernels->gpu.model);
    report_set_text(report, "mode", kernels->only_proves ? "prove" : "measure");
    say_how(kernels, report);
    if (kernels->only_proves) {
        tell_proven(report);
    } else {
        report_set_integer(report, "bytes", kernels->bytes);
        report_set_integer(report, "repeat", kernels->repeat);
        tell_measured(kernels, report);
    }
    bool given = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                            config_text(config, KEY_CSV)});
    report_free(&report);
    return given;
}

static void close_kernels(void *work)
{
    struct kernels *kernels = work;
    work_close(&kernels->work);
    gpu_close(&kernels->gpu);
}

const struct bench_case case_kernels = {
    .name = "kernels",
    .summary = "each kernel on a GPU, beside its roofline and the device's own copy",
    .program = &program,
    .bytes = sizeof(struct kernels),
    .prepare = prepare,
    .measure = measure,
    .tell = tell,
    .close = close_kernels};
