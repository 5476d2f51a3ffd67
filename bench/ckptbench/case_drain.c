/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench drain: a shard goes to a folder and comes back, beside fio with the same block size,
 * depth and O_DIRECT in the same folder, in turn. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/limits.h"
#include "base/reason.h"
#include "case.h"
#include "digest/fingerprint.h"
#include "memory/buffer.h"
#include "options.h"
#include "process/belongings.h"
#include "process/clock.h"
#include "process/progress.h"
#include "process/self.h"
#include "report/report.h"
#include "tier/tier.h"

enum key { KEY_BYTES, KEY_REPEAT, KEY_DEPTH, KEY_DIRECTORY, KEY_JSON, KEY_CSV, KEY_COUNT };

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = OPTION_BYTES("1GiB", 1, "of the shard"),
    [KEY_REPEAT] = OPTION_REPEAT("5", "turns, after one that is not counted"),
    [KEY_DEPTH] = {.name = "depth",
                   .flag = "depth",
                   .type = CONFIG_INTEGER,
                   .fallback = "8",
                   .min = 1,
                   .max = 64,
                   .help = "writes or reads under way"},
    [KEY_DIRECTORY] = {.name = "dir",
                       .flag = "dir",
                       .type = CONFIG_STRING,
                       .fallback = "/tmp",
                       .placeholder = "PATH",
                       .help =
                           "where a folder is made, and removed again: of the disk in question"},
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench drain",
    .version = CKPT_VERSION,
    .summary = "Puts a shard into a tier that is a folder, durable and named, and reads it back, "
               "BLAKE3 included both times, beside fio with the same block size, depth and "
               "O_DIRECT in the same folder, in turn.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .details =
        "CPU is that of the process, user and system, of one pass of BLAKE3 and fingerprint\n"
        "over the same bytes in memory, and of a put, which does the same and writes.\n",
    .examples = "  ckptbench drain --dir=/lustre/scratch --bytes=4GiB\n",
};

struct drain {
    uint64_t bytes;
    uint32_t repeat;
    uint32_t depth;
    uint8_t *data;
    uint8_t *back;
    char folder[PATH_MAX];
    char fio[PATH_MAX];
    const struct digest_engine *engine;
    struct tier *tier;
    struct tier_shard_source source;
    struct digest committed;
    struct tier_shard shard; /* as it was put last */
    struct samples put, read, fio_write, fio_read;
    struct samples put_ratio, read_ratio;
    struct samples pass_cpu, put_cpu;
};

static double cpu_seconds(void)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void pass_turn(struct drain *drain, bool counts)
{
    struct fingerprint_key key;
    struct digest_stream stream;
    struct digest digest;
    double since = cpu_seconds();
    fingerprint_key_derive(drain->source.key.secret.bytes, &key);
    digest_stream_init(&stream, drain->engine);
    for (uint64_t at = 0; at < drain->bytes; at += CKPT_CHUNK_BYTES) {
        uint8_t value[FINGERPRINT_VALUE_BYTES];
        uint64_t left = drain->bytes - at;
        size_t part = (size_t)(left < CKPT_CHUNK_BYTES ? left : CKPT_CHUNK_BYTES);
        digest_stream_update(&stream, drain->data + at, part);
        (void)fingerprint_chunk(drain->engine, &key, drain->data + at, part, value);
    }
    digest_stream_final(&stream, &digest);
    if (counts) {
        samples_add(&drain->pass_cpu, (cpu_seconds() - since) / ((double)drain->bytes / 1e9));
    }
}

static struct shard_key key_of(uint32_t turn)
{
    return (struct shard_key){.run = {.uid = 0, .name = "bench"}, .attempt = 1, .step = turn};
}

static enum ckpt_status put_turn(struct drain *drain, uint32_t turn, char *reason)
{
    struct tier_put_result result;
    struct shard_key key = key_of(turn);
    double cpu = cpu_seconds();
    uint64_t start = clock_now_ns();
    enum ckpt_status status = tier_put_shard(drain->tier, &key, &drain->source, &result, reason);
    double seconds = seconds_since(start);
    if (status == CKPT_OK && result.is_linked) {
        return reason_refuse(reason, CKPT_ERR_INTERNAL, "the shard was linked, not written");
    }
    drain->shard = result.shard;
    if (status == CKPT_OK && turn > 0) {
        samples_add(&drain->put, gbps(drain->bytes, seconds));
        samples_add(&drain->put_cpu, (cpu_seconds() - cpu) / ((double)drain->bytes / 1e9));
    }
    return status;
}

static enum ckpt_status read_turn(struct drain *drain, uint32_t turn, char *reason)
{
    const uint64_t piece = 16 * CKPT_MIB;
    struct shard_key key = key_of(turn);
    struct tier_checkpoint_key of = {.run = key.run, .attempt = key.attempt, .step = key.step};
    struct digest_stream stream;
    struct digest digest;
    enum ckpt_status status = CKPT_OK;
    uint64_t start = clock_now_ns();
    digest_stream_init(&stream, drain->engine);
    for (uint64_t at = 0; at < drain->bytes && status == CKPT_OK; at += piece) {
        uint64_t part = drain->bytes - at < piece ? drain->bytes - at : piece;
        status =
            tier_read_shard(drain->tier, &of, &drain->shard, at, drain->back + at, part, reason);
        digest_stream_update(&stream, drain->back + at, part);
    }
    digest_stream_final(&stream, &digest);
    double seconds = seconds_since(start);
    if (status == CKPT_OK && !digest_equal(&digest, &drain->shard.blake3)) {
        return reason_refuse(reason, CKPT_ERR_DIGEST, "other bytes came back than were put");
    }
    if (status == CKPT_OK && turn > 0) {
        samples_add(&drain->read, gbps(drain->bytes, seconds));
    }
    return status;
}

/* Runs fio once; its bytes a second, of the whole run. */
static bool run_fio(struct drain *drain, const char *way, double *gbps_out)
{
    char file[PATH_MAX + 32];
    char out[PATH_MAX + 32];
    char how[32];
    char size[48];
    char depth[32];
    struct rusage usage;
    snprintf(file, sizeof(file), "--filename=%s/fio", drain->folder);
    snprintf(out, sizeof(out), "--output=%s/fio.json", drain->folder);
    snprintf(how, sizeof(how), "--rw=%s", way);
    snprintf(size, sizeof(size), "--size=%llu", (unsigned long long)drain->bytes);
    snprintf(depth, sizeof(depth), "--iodepth=%u", (unsigned)drain->depth);
    char *argv[] = {"fio",
                    "--name=beside",
                    file,
                    how,
                    size,
                    depth,
                    "--bs=1M",
                    "--direct=1",
                    "--ioengine=io_uring",
                    "--end_fsync=1",
                    "--output-format=json",
                    out,
                    NULL};
    pid_t pid = belongings_start(drain->fio, argv, -1, -1, -1);
    int status = pid > 0 ? belongings_wait(pid, &usage) : -1;
    json_t *document = json_load_file(strchr(out, '/'), 0, NULL);
    const json_t *job = json_array_get(json_object_get(document, "jobs"), 0);
    json_int_t ms = json_integer_value(json_object_get(job, "job_runtime"));
    json_decref(document);
    *gbps_out = ms > 0 ? (double)drain->bytes / 1e6 / (double)ms : 0;
    return status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 && ms > 0;
}

static enum ckpt_status fio_turn(struct drain *drain, uint32_t turn, char *reason)
{
    double write;
    double read;
    char file[PATH_MAX + 8];
    if (!run_fio(drain, "write", &write) || !run_fio(drain, "read", &read)) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "fio failed in %.200s", drain->folder);
    }
    snprintf(file, sizeof(file), "%s/fio", drain->folder);
    (void)unlink(file);
    if (turn > 0) {
        samples_add(&drain->fio_write, write);
        samples_add(&drain->fio_read, read);
        samples_add(&drain->put_ratio, drain->put.values[drain->put.count - 1] / write);
        samples_add(&drain->read_ratio, drain->read.values[drain->read.count - 1] / read);
    }
    return CKPT_OK;
}

static enum ckpt_status measure(void *work, char *reason)
{
    struct drain *drain = work;
    enum ckpt_status status = CKPT_OK;
    for (uint32_t turn = 0; turn <= drain->repeat && status == CKPT_OK; turn++) {
        progress_part(turn, drain->repeat + 1, "drain: turn %u of %u", turn, drain->repeat);
        drain->data[0] = (uint8_t)turn; /* so that nothing is linked */
        pass_turn(drain, turn > 0);
        struct fingerprint_key key;
        fingerprint_key_derive(drain->source.key.secret.bytes, &key);
        fingerprint_bytes(drain->engine, &key, drain->data, drain->bytes, &drain->committed);
        status = put_turn(drain, turn, reason);
        if (status == CKPT_OK) {
            status = read_turn(drain, turn, reason);
        }
        struct shard_key put = key_of(turn);
        struct tier_checkpoint_key of = {.run = put.run, .attempt = put.attempt, .step = put.step};
        if (status == CKPT_OK) {
            status = tier_remove_checkpoint(drain->tier, &of, reason);
        }
        if (status == CKPT_OK && drain->fio[0] != '\0') {
            status = fio_turn(drain, turn, reason);
        }
    }
    return status;
}

static void tell_fio(const struct drain *drain, struct report *report, const char *key,
                     const char *label, int digits, const struct samples *samples)
{
    if (drain->fio[0] != '\0') {
        report_add(report, key, label, digits == 3 ? "GB/s" : "", digits, samples);
    } else {
        report_missing(report, key, label, "fio is not installed");
    }
}

static bool tell(void *work, const struct config *config)
{
    const struct drain *drain = work;
    struct report *report = report_make("drain", "a shard to a folder and back, 10^9 bytes a "
                                                 "second");
    if (report == NULL) {
        return false;
    }
    report_set_integer(report, "bytes", drain->bytes);
    report_set_integer(report, "depth", drain->depth);
    report_add(report, "put_gbps", "put: durable, named, BLAKE3", "GB/s", 3, &drain->put);
    tell_fio(drain, report, "fio_write_gbps", "fio, write", 3, &drain->fio_write);
    tell_fio(drain, report, "put_ratio", "put / fio", 2, &drain->put_ratio);
    report_add(report, "read_gbps", "read, with BLAKE3", "GB/s", 3, &drain->read);
    tell_fio(drain, report, "fio_read_gbps", "fio, read", 3, &drain->fio_read);
    tell_fio(drain, report, "read_ratio", "read / fio", 2, &drain->read_ratio);
    report_add(report, "pass_cpu", "CPU of one pass in memory", "s/GB", 3, &drain->pass_cpu);
    report_add(report, "put_cpu", "CPU of a put", "s/GB", 3, &drain->put_cpu);
    bool given = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                            config_text(config, KEY_CSV)});
    report_free(&report);
    return given;
}

static enum ckpt_status prepare(const struct config *config, void *work, char *reason)
{
    struct drain *drain = work;
    struct tier_options options = {0};
    char place[PATH_MAX + 8];
    drain->bytes = (uint64_t)config_number(config, KEY_BYTES);
    drain->repeat = (uint32_t)config_number(config, KEY_REPEAT);
    drain->depth = (uint32_t)config_number(config, KEY_DEPTH);
    options.depth = drain->depth;
    self_find("fio", drain->fio, sizeof(drain->fio));
    const char *made = belongings_make_directory(config_text(config, KEY_DIRECTORY), "ckptbench");
    if (made == NULL) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "cannot make a directory in %.200s",
                             config_text(config, KEY_DIRECTORY));
    }
    snprintf(drain->folder, sizeof(drain->folder), "%s", made);
    snprintf(place, sizeof(place), "posix:%s", made);
    enum ckpt_status status = digest_engine_select(NULL, &drain->engine);
    if (status == CKPT_OK) {
        status = tier_open(place, &options, &drain->tier, reason);
    }
    drain->data = status == CKPT_OK ? buffer_make(drain->bytes) : NULL;
    drain->back = status == CKPT_OK ? buffer_make(drain->bytes) : NULL;
    if (status == CKPT_OK && (drain->data == NULL || drain->back == NULL)) {
        return reason_refuse(reason, CKPT_ERR_MEMORY, "no memory for two shards of %llu bytes",
                             (unsigned long long)drain->bytes);
    }
    if (status == CKPT_OK) {
        buffer_fill(drain->data, drain->bytes, 1);
        drain->source = (struct tier_shard_source){.data = drain->data,
                                                   .bytes = drain->bytes,
                                                   .key = {DIGEST_KIND_FINGERPRINT, {{1}}},
                                                   .committed = &drain->committed};
    }
    return status;
}

static void close_drain(void *work)
{
    struct drain *drain = work;
    tier_close(&drain->tier);
    buffer_free(&drain->data, drain->bytes);
    buffer_free(&drain->back, drain->bytes);
}

const struct bench_case case_drain = {.name = "drain",
                                      .summary = "a shard to a folder and back, beside fio",
                                      .program = &program,
                                      .bytes = sizeof(struct drain),
                                      .prepare = prepare,
                                      .measure = measure,
                                      .tell = tell,
                                      .close = close_drain};
