/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench raw: what the machine and the transport can do without us: memcpy, and reads by the
 * transport alone, in turn, at one point or many. */
#include <sched.h>
#include <string.h>

#include "base/reason.h"
#include "case.h"
#include "numbers.h"
#include "options.h"
#include "raw/spec.h"
#include "raw/sweep.h"

enum key {
    KEY_BYTES,
    KEY_TRANSPORT,
    KEY_CONNECT,
    KEY_DEVICES,
    KEY_RAILS,
    KEY_SLICE,
    KEY_DEPTH,
    KEY_SWEEP,
    KEY_SEGMENT,
    KEY_REGION,
    KEY_READS,
    KEY_SPIN,
    KEY_CPUS,
    KEY_MEMORY,
    KEY_GPU,
    KEY_THREADS,
    KEY_BESIDE,
    KEY_REPEAT,
    KEY_JSON,
    KEY_CSV,
    KEY_COUNT
};

enum memory { MEMORY_HOST, MEMORY_GPU };

struct reads {
    struct sweep sweep;
    char devices[CONFIG_TEXT_MAX + 1]; /* its list of them, as one text */
};
static const char *const memories[] = {"host", "gpu", NULL};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = OPTION_BYTES("1GiB", 1 << 20, "how much is copied, and read, each time"),
    [KEY_TRANSPORT] = OPTION_TRANSPORT("ucx, ucx:tcp, ucx:shm, verbs, verbs:DEVICE+DEVICE, loop"),
    [KEY_CONNECT] = {.name = "connect",
                     .flag = "connect",
                     .type = CONFIG_STRING,
                     .placeholder = "HOST[:PORT]",
                     .help = "read from the \"ckptbench serve\" there, not from a process here"},
    [KEY_DEVICES] = OPTION_DEVICES("network devices to use, in this order: lo, eth0, mlx5_0:1"),
    [KEY_RAILS] = {.name = "rails",
                   .flag = "rails",
                   .type = CONFIG_LIST,
                   .placeholder = "N,...",
                   .help = "read over the first N devices; several numbers: one after the other"},
    [KEY_SLICE] = {.name = "slice_bytes",
                   .flag = "slice-bytes",
                   .type = CONFIG_LIST,
                   .placeholder = "SIZE,...",
                   .fallback_is = "what the transport likes",
                   .help = "bytes of one read; several: each with every depth"},
    [KEY_DEPTH] = {.name = "depth",
                   .flag = "depth",
                   .type = CONFIG_LIST,
                   .placeholder = "N,...",
                   .fallback_is = "what the transport likes",
                   .help = "reads in flight"},
    [KEY_SWEEP] = {.name = "sweep",
                   .flag = "sweep",
                   .type = CONFIG_BOOL,
                   .fallback = "no",
                   .help = "slices of 4KiB to 4MiB, one read in flight and as many as are liked"},
    [KEY_SEGMENT] = OPTION_SEGMENT("size of one registered region"),
    [KEY_REGION] = {.name = "region",
                    .flag = "region",
                    .type = CONFIG_BYTES,
                    .fallback = "0",
                    .max = OPTION_AMOUNT_MAX,
                    .help = "memory at each end, read over and over; 0: as much as --bytes. A "
                            "small one stays in the caches"},
    [KEY_READS] = {.name = "reads",
                   .flag = "reads",
                   .type = CONFIG_INTEGER,
                   .fallback = "20000",
                   .max = INT64_C(1) << 30,
                   .help =
                       "at most so many reads each time, so that small slices end; 0: no bound"},
    [KEY_SPIN] = {.name = "spin",
                  .flag = "spin",
                  .type = CONFIG_BOOL,
                  .fallback = "no",
                  .help = "neither end sleeps when there is nothing to do"},
    [KEY_CPUS] = {.name = "cpus",
                  .flag = "cpus",
                  .type = CONFIG_LIST,
                  .placeholder = "N,N",
                  .fallback_is = "wherever the kernel likes",
                  .help =
                      "pin the reader to the first CPU and the source, where it is started here, "
                      "to the second"},
    [KEY_MEMORY] = {.name = "memory",
                    .flag = "memory",
                    .type = CONFIG_ENUM,
                    .choices = memories,
                    .fallback = "host",
                    .help = "where the bytes are that are read; the reader's own are in the host"},
    [KEY_GPU] = {.name = "gpu",
                 .flag = "gpu",
                 .type = CONFIG_INTEGER,
                 .fallback = "0",
                 .max = OPTION_GPU_MAX,
                 .help = "with --memory=gpu: the GPU, as CUDA counts them where the source is"},
    [KEY_THREADS] = OPTION_COPY_THREADS(64, "threads of the memcpy"),
    [KEY_BESIDE] = {.name = "beside",
                    .flag = "beside",
                    .type = CONFIG_LIST,
                    .placeholder = "TEST[@SIZE],...",
                    .help = "run the raw tool of others in every turn too: ucp_am_bw, "
                            "ucp_am_bw_eager, ucp_get, tag_bw, tag_bw_eager, ib_read_bw; @SIZE: "
                            "with messages of that size, not of a slice"},
    [KEY_REPEAT] = OPTION_REPEAT("7", "turns, after one that is not counted"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench raw",
    .version = CKPT_VERSION,
    .summary = "Measures reads by a transport from another process, here or on another machine "
               "where \"ckptbench serve\" runs: bandwidth, and how long each read took. No digest, "
               "no agent. Beside them memcpy between faulted-in buffers of this machine.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .details = "A read's time is from its issue to its completion; with several in flight it has "
               "the\nwaiting for those before it. --depth=1 is the transport's own latency.\n",
    .examples = "  ckptbench raw --transport=ucx:tcp --bytes=1GiB\n"
                "  ckptbench raw --transport=ucx:shm --slice-bytes=64KiB,1MiB --depth=1,16\n"
                "  ckptbench raw --sweep --json=tcp.json && ckptbench plot tcp.json -o tcp.svg\n"
                "  ckptbench raw --transport=verbs --connect=node7 --sweep\n"
                "  ckptbench raw --transport=verbs --memory=gpu --gpu=3\n"
                "  ckptbench raw --region=1MiB --beside=ucp_am_bw,ucp_get\n"
                "  ckptbench raw --transport=ucx:shm --beside=tag_bw_eager@256MiB\n",
    .exit_codes = "  0  measured\n"
                  "  1  something could not be measured\n"
                  "  2  the command line is wrong, or asks for what is not there\n",
};

static const uint64_t sweep_slices[] = {4 * CKPT_KIB,   16 * CKPT_KIB, 64 * CKPT_KIB,
                                        256 * CKPT_KIB, 1 * CKPT_MIB,  4 * CKPT_MIB};

/* The texts of a list, joined again without blanks; NULL when it is empty. */
static const char *joined(const struct config *config, size_t key, char *text_out, size_t size)
{
    size_t used = 0;
    text_out[0] = '\0';
    for (size_t i = 0; i < config_list_count(config, key) && used < size; i++) {
        used += (size_t)snprintf(text_out + used, size - used, "%s%s", i > 0 ? "," : "",
                                 config_list_at(config, key, i));
    }
    return text_out[0] != '\0' ? text_out : NULL;
}

static bool read_points(const struct config *config, struct sweep *sweep, char *reason)
{
    uint64_t depths[SWEEP_DEPTHS_MAX];
    uint64_t rails[SWEEP_RAILS_MAX];
    if (!numbers_read(config, KEY_SLICE, CONFIG_BYTES, 1, INT64_C(1) << 30, sweep->slices,
                      SWEEP_SLICES_MAX, &sweep->slice_count, reason) ||
        !numbers_read(config, KEY_DEPTH, CONFIG_INTEGER, 1, 65536, depths, SWEEP_DEPTHS_MAX,
                      &sweep->depth_count, reason) ||
        !numbers_read(config, KEY_RAILS, CONFIG_INTEGER, 1, 64, rails, SWEEP_RAILS_MAX,
                      &sweep->rail_count, reason)) {
        return false;
    }
    for (size_t i = 0; i < sweep->depth_count; i++) {
        sweep->depths[i] = (uint32_t)depths[i];
    }
    for (size_t i = 0; i < sweep->rail_count; i++) {
        sweep->rails[i] = (uint32_t)rails[i];
    }
    if (config_flag(config, KEY_SWEEP) && sweep->slice_count == 0) {
        sweep->slice_count = sizeof(sweep_slices) / sizeof(sweep_slices[0]);
        memcpy(sweep->slices, sweep_slices, sizeof(sweep_slices));
    }
    if (config_flag(config, KEY_SWEEP) && sweep->depth_count == 0) {
        sweep->depths[sweep->depth_count++] = 1;
        sweep->depths[sweep->depth_count++] = 16;
    }
    size_t points = (sweep->slice_count > 0 ? sweep->slice_count : 1) *
                    (sweep->depth_count > 0 ? sweep->depth_count : 1) *
                    (sweep->rail_count > 0 ? sweep->rail_count : 1);
    if (points > SWEEP_POINTS_MAX) {
        reason_set(reason,
                   "%zu points are more than %d: fewer slice sizes, "
                   "depths or rails",
                   points, SWEEP_POINTS_MAX);
        return false;
    }
    return true;
}

static bool read_cpus(const struct config *config, struct sweep *sweep, char *reason)
{
    uint64_t cpus[2];
    size_t count;
    if (!numbers_read(config, KEY_CPUS, CONFIG_INTEGER, 0, CPU_SETSIZE - 1, cpus, 2, &count,
                      reason)) {
        return false;
    }
    if (count == 1) {
        reason_set(reason, "--cpus: want two, for the reader and the source");
        return false;
    }
    if (count == 2) {
        sweep->raw.is_pinned = true;
        sweep->raw.reader_cpu = (uint32_t)cpus[0];
        sweep->raw.source_cpu = (uint32_t)cpus[1];
    }
    return true;
}

static bool read_beside(const struct config *config, struct sweep *sweep, char *reason)
{
    size_t count = config_list_count(config, KEY_BESIDE);
    if (count > BESIDE_MAX) {
        reason_set(reason, "--beside: at most %d tests", BESIDE_MAX);
        return false;
    }
    if (count > 0 && sweep->raw.connect != NULL) {
        reason_set(reason,
                   "--beside measures between processes of this machine: not with --connect");
        return false;
    }
    if (count > 0 && sweep->raw.is_gpu) {
        reason_set(reason, "--beside: those tools read the host's memory; with --memory=host");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = config_list_at(config, KEY_BESIDE, i);
        if (!beside_find(name, sweep->raw.transport, &sweep->beside[i], reason)) {
            return false;
        }
        sweep->beside_count++;
    }
    return true;
}

/* CKPT_ERR_CONFIG: the command line asks for what cannot be. */
static enum ckpt_status prepare(const struct config *config, void *work, char *reason)
{
    struct reads *reads = work;
    struct sweep *sweep = &reads->sweep;
    uint64_t region = (uint64_t)config_number(config, KEY_REGION);
    sweep->bytes = (uint64_t)config_number(config, KEY_BYTES);
    sweep->reads_max = (uint64_t)config_number(config, KEY_READS);
    sweep->repeat = (uint32_t)config_number(config, KEY_REPEAT);
    sweep->copy_threads = (uint32_t)config_number(config, KEY_THREADS);
    sweep->raw = (struct raw_options){
        .transport = config_text(config, KEY_TRANSPORT),
        .devices = joined(config, KEY_DEVICES, reads->devices, sizeof(reads->devices)),
        .connect = config_text(config, KEY_CONNECT),
        .bytes = region != 0 ? region : sweep->bytes,
        .segment_bytes = (uint64_t)config_number(config, KEY_SEGMENT),
        .is_gpu = config_number(config, KEY_MEMORY) == MEMORY_GPU,
        .gpu = (uint32_t)config_number(config, KEY_GPU),
        .spins = config_flag(config, KEY_SPIN),
    };
    enum ckpt_status status = spec_check(sweep->raw.transport, sweep->raw.devices, reason);
    if (status == CKPT_OK && sweep->raw.is_gpu && !spec_takes_gpu(sweep->raw.transport)) {
        reason_set(reason,
                   "the transport %.60s takes no GPU memory, only verbs does, on devices that "
                   "register dma-bufs: --transport=verbs, or --memory=host",
                   sweep->raw.transport);
        status = CKPT_ERR_CONFIG;
    }
    if (status == CKPT_OK && spec_is_local(sweep->raw.transport) && sweep->raw.connect != NULL) {
        reason_set(reason, "the transport %.60s does not leave its process: not with --connect",
                   sweep->raw.transport);
        status = CKPT_ERR_CONFIG;
    }
    if (status == CKPT_OK &&
        (!read_cpus(config, sweep, reason) || !read_points(config, sweep, reason) ||
         !read_beside(config, sweep, reason))) {
        status = CKPT_ERR_CONFIG;
    }
    return status;
}

static void tell_settings(const struct sweep *sweep, struct report *report)
{
    report_set_integer(report, "bytes", sweep->bytes);
    report_set_integer(report, "region_bytes", sweep->raw.bytes);
    report_set_integer(report, "segment_bytes", sweep->raw.segment_bytes);
    report_set_text(report, "transport", sweep->raw.transport);
    report_set_text(report, "devices", sweep->raw.devices != NULL ? sweep->raw.devices : "");
    report_set_text(report, "connect", sweep->raw.connect != NULL ? sweep->raw.connect : "");
    report_set_text(report, "memory", sweep->raw.is_gpu ? "gpu" : "host");
    if (sweep->gpu_model != NULL) {
        report_set_text(report, "gpu", sweep->gpu_model);
    }
    report_set(report, "spin", json_boolean(sweep->raw.spins));
    if (sweep->raw.is_pinned) {
        report_set_integer(report, "reader_cpu", sweep->raw.reader_cpu);
        report_set_integer(report, "source_cpu", sweep->raw.source_cpu);
    }
    report_set_integer(report, "reads_max", sweep->reads_max);
    report_set_integer(report, "copy_threads", sweep->copy_threads);
    report_set_integer(report, "repeat", sweep->repeat);
    if (sweep->peer_environment != NULL) {
        report_set(report, "peer_environment", json_incref(sweep->peer_environment));
    }
}

static bool tell(void *work, const struct config *config)
{
    const struct sweep *sweep = &((const struct reads *)work)->sweep;
    char title[160];
    const struct sweep_point *first = &sweep->points[0];
    const char *connect = sweep->raw.connect;
    snprintf(title, sizeof(title), "Reads by %.60s alone, from %s%s%.60s", sweep->raw.transport,
             sweep->raw.is_gpu ? "a GPU's memory at " : "", connect != NULL ? "" : "this machine",
             connect != NULL ? connect : "");
    struct report *report = report_make("raw", title);
    if (report == NULL) {
        return false;
    }
    tell_settings(sweep, report);
    report_add(report, "memcpy_gbps", "memcpy", "GB/s", 2, &sweep->copy_gbps);
    report_note(report, "%u thread%s", sweep->copy_threads, sweep->copy_threads == 1 ? "" : "s");
    if (sweep->point_count == 1) {
        report_set_integer(report, "slice_bytes", first->slice_bytes);
        report_set_integer(report, "depth", first->depth);
        report_add(report, "raw_read_gbps", "raw read", "GB/s", 2, &first->gbps);
        report_add(report, "raw_read_cpu_s_per_gb", "  CPU of both ends", "s/GB", 3, &first->cpu);
    }
    sweep_tell(sweep, report);
    bool given = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                            config_text(config, KEY_CSV)});
    report_free(&report);
    return given;
}

static enum ckpt_status measure(void *work, char *reason)
{
    return sweep_run(&((struct reads *)work)->sweep, reason);
}

static void close_reads(void *work)
{
    sweep_free(&((struct reads *)work)->sweep);
}

const struct bench_case case_raw = {
    .name = "raw",
    .summary = "a transport's bandwidth and latency, here or between machines",
    .program = &program,
    .bytes = sizeof(struct reads),
    .prepare = prepare,
    .measure = measure,
    .tell = tell,
    .close = close_reads};
