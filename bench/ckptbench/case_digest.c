/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench digest: each engine, both kinds of digest, and what they are measured against, on one
 * thread, over the same bytes, in turn. */
#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/limits.h"
#include "base/reason.h"
#include "process/belongings.h"
#include "memory/buffer.h"
#include "case.h"
#include "process/clock.h"
#include "digest/fingerprint.h"
#include "options.h"
#include "process/progress.h"
#include "report/report.h"
#include "process/self.h"

#define ENGINES_MAX 8

enum key { KEY_BYTES, KEY_REPEAT, KEY_DIRECTORY, KEY_JSON, KEY_CSV, KEY_COUNT };

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = OPTION_BYTES("1GiB", 1, "how much is digested each time"),
    [KEY_REPEAT] = OPTION_REPEAT("7", "turns, after one that is not counted"),
    [KEY_DIRECTORY] = OPTION_DIRECTORY("where the file for b3sum is made, and removed again"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench digest",
    .version = CKPT_VERSION,
    .summary =
        "Measures BLAKE3 and fingerprints on one thread by each engine that this CPU runs, and "
        "BLAKE3 by b3sum --num-threads 1 where there is one, over the same bytes of the same file, "
        "in turn. All engines must give the same.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .details = "b3sum is shown twice: by the time it took, and by the user time it took, which is\n"
               "without its start and its mapping of the file. The ratios of BLAKE3 are to these\n"
               "two; those of a fingerprint to BLAKE3 by the same engine. The widest engine's is\n"
               "also held against XXH3 of 128 bits, and against a loop that merely loads the\n"
               "bytes: faster than that no digest can be.\n",
    .examples = "  ckptbench digest --bytes=256MiB --repeat=9 --json=digest.json\n",
};

struct contest {
    uint64_t bytes;
    uint32_t repeat;
    uint8_t *data; /* the file, mapped and faulted in */
    char path[PATH_MAX];
    char b3sum[PATH_MAX]; /* "" when there is none */
    size_t engine_count;
    const struct digest_engine *engines[ENGINES_MAX];
    struct samples speed[ENGINES_MAX];
    struct samples ratio[ENGINES_MAX];
    struct samples user_ratio[ENGINES_MAX];
    struct samples b3sum_speed;
    struct samples b3sum_user_speed;
    struct digest digest;
    struct fingerprint_key key;
    struct digest fingerprint;
    struct samples fingerprint_speed[ENGINES_MAX];
    struct samples fingerprint_ratio[ENGINES_MAX];
    struct samples xxh3_speed, xxh3_ratio; /* of the widest engine's fingerprint to it */
    struct samples load_speed, load_ratio;
    volatile uint64_t is_kept;
};

static enum ckpt_status make_data(struct contest *contest, const char *directory, char *reason)
{
    const char *made = belongings_make_directory(directory, "ckptbench");
    if (made == NULL) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "cannot make a directory in %.200s: %s",
                             directory, strerror(errno));
    }
    snprintf(contest->path, sizeof(contest->path), "%s/bytes", made);
    int fd = open(contest->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    void *data = MAP_FAILED;
    if (fd >= 0 && posix_fallocate(fd, 0, (off_t)contest->bytes) == 0) {
        data = mmap(NULL, contest->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (data == MAP_FAILED) {
        return reason_refuse(reason, CKPT_ERR_SYSTEM, "no room for %llu bytes in %.200s",
                             (unsigned long long)contest->bytes, directory);
    }
    contest->data = data;
    buffer_fill(contest->data, contest->bytes, 1);
    return CKPT_OK;
}

/* Runs b3sum once; its digest as text, its seconds by the wall and in user mode. */
static bool run_b3sum(struct contest *contest, char hex_out[DIGEST_HEX_BYTES], double *wall_out,
                      double *user_out, char *reason)
{
    char *argv[] = {"b3sum", "--num-threads", "1", contest->path, NULL};
    struct rusage usage;
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) {
        return false;
    }
    uint64_t start = clock_now_ns();
    pid_t pid = belongings_start(contest->b3sum, argv, -1, out[1], -1);
    close(out[1]);
    ssize_t count = pid > 0 ? read(out[0], hex_out, DIGEST_HEX_BYTES - 1) : -1;
    int status = pid > 0 ? belongings_wait(pid, &usage) : -1;
    *wall_out = seconds_since(start);
    close(out[0]);
    if (count != DIGEST_HEX_BYTES - 1 || status < 0 || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0) {
        reason_set(reason, "b3sum failed");
        return false;
    }
    hex_out[DIGEST_HEX_BYTES - 1] = '\0';
    *user_out = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
    return true;
}

static bool b3sum_turn(struct contest *contest, bool counts, char *reason)
{
    char hex[DIGEST_HEX_BYTES];
    char ours[DIGEST_HEX_BYTES];
    double wall;
    double user;
    if (!run_b3sum(contest, hex, &wall, &user, reason)) {
        return false;
    }
    digest_hex(&contest->digest, ours);
    if (strcmp(hex, ours) != 0) {
        reason_set(reason, "b3sum says %s, the engines say %s", hex, ours);
        return false;
    }
    if (counts) {
        samples_add(&contest->b3sum_speed, gbps(contest->bytes, wall));
        if (user > 0) {
            samples_add(&contest->b3sum_user_speed, gbps(contest->bytes, user));
        }
    }
    return true;
}

static bool engine_turn(struct contest *contest, size_t i, bool counts, char *reason)
{
    struct digest digest;
    uint64_t start = clock_now_ns();
    digest_bytes(contest->engines[i], contest->data, contest->bytes, &digest);
    double seconds = seconds_since(start);
    if (i == 0 && !counts) {
        contest->digest = digest;
    } else if (!digest_equal(&digest, &contest->digest)) {
        reason_set(reason, "engine %s gives another digest than %s",
                   digest_engine_name(contest->engines[i]),
                   digest_engine_name(contest->engines[0]));
        return false;
    }
    if (counts) {
        samples_add(&contest->speed[i], gbps(contest->bytes, seconds));
    }
    return true;
}

static bool fingerprint_turn(struct contest *contest, size_t i, bool counts, char *reason)
{
    struct digest fingerprint;
    uint64_t start = clock_now_ns();
    fingerprint_bytes(contest->engines[i], &contest->key, contest->data, contest->bytes,
                      &fingerprint);
    double seconds = seconds_since(start);
    if (i == 0 && !counts) {
        contest->fingerprint = fingerprint;
    } else if (!digest_equal(&fingerprint, &contest->fingerprint)) {
        reason_set(reason, "engine %s gives another fingerprint than %s",
                   digest_engine_name(contest->engines[i]),
                   digest_engine_name(contest->engines[0]));
        return false;
    }
    if (counts) {
        samples_add(&contest->fingerprint_speed[i], gbps(contest->bytes, seconds));
        samples_add(&contest->fingerprint_ratio[i],
                    gbps(contest->bytes, seconds) /
                        contest->speed[i].values[contest->speed[i].count - 1]);
    }
    return true;
}

/* Four chains of additions of 16 bytes, so that only the loads take time. */
static uint64_t load_all(const uint8_t *data, uint64_t bytes)
{
    typedef uint64_t vector __attribute__((vector_size(16)));
    vector sums[4] = {{0}};
    for (uint64_t at = 0; at + sizeof(sums) <= bytes; at += sizeof(sums)) {
        vector words[4];
        memcpy(words, data + at, sizeof(words));
        sums[0] += words[0];
        sums[1] += words[1];
        sums[2] += words[2];
        sums[3] += words[3];
        __builtin_prefetch(data + at + 4096);
    }
    vector sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    return sum[0] + sum[1];
}

static void rivals_turn(struct contest *contest, bool counts)
{
    const struct samples *widest = &contest->fingerprint_speed[contest->engine_count - 1];
    uint64_t start = clock_now_ns();
    XXH128_hash_t hash = XXH3_128bits(contest->data, contest->bytes);
    double xxh3 = gbps(contest->bytes, seconds_since(start));
    start = clock_now_ns();
    uint64_t sum = load_all(contest->data, contest->bytes);
    double load = gbps(contest->bytes, seconds_since(start));
    contest->is_kept = hash.low64 ^ sum; /* so that neither is left out */
    if (counts) {
        samples_add(&contest->xxh3_speed, xxh3);
        samples_add(&contest->load_speed, load);
        samples_add(&contest->xxh3_ratio, widest->values[widest->count - 1] / xxh3);
        samples_add(&contest->load_ratio, widest->values[widest->count - 1] / load);
    }
}

/* Of a turn that has just ended. */
static void add_ratios(struct contest *contest)
{
    const struct samples *wall = &contest->b3sum_speed;
    const struct samples *user = &contest->b3sum_user_speed;
    for (size_t i = 0; i < contest->engine_count; i++) {
        size_t last = contest->speed[i].count - 1;
        double speed = contest->speed[i].values[last];
        if (wall->count > 0 && wall->values[wall->count - 1] > 0) {
            samples_add(&contest->ratio[i], speed / wall->values[wall->count - 1]);
        }
        if (user->count > 0 && user->values[user->count - 1] > 0) {
            samples_add(&contest->user_ratio[i], speed / user->values[user->count - 1]);
        }
    }
}

static enum ckpt_status measure(void *work, char *reason)
{
    struct contest *contest = work;
    uint32_t repeat = contest->repeat;
    for (uint32_t turn = 0; turn <= repeat; turn++) {
        for (size_t i = 0; i < contest->engine_count; i++) {
            progress_part(turn * contest->engine_count + i, (repeat + 1) * contest->engine_count,
                          "digest: turn %u of %u, %s", turn, repeat,
                          digest_engine_name(contest->engines[i]));
            if (!engine_turn(contest, i, turn > 0, reason) ||
                !fingerprint_turn(contest, i, turn > 0, reason)) {
                return CKPT_ERR_DIGEST;
            }
        }
        rivals_turn(contest, turn > 0);
        if (contest->b3sum[0] != '\0' && !b3sum_turn(contest, turn > 0, reason)) {
            return CKPT_ERR_DIGEST;
        }
        if (turn > 0) {
            add_ratios(contest);
        }
    }
    return CKPT_OK;
}

static void tell_engine(const struct contest *contest, size_t i, struct report *report)
{
    const char *name = digest_engine_name(contest->engines[i]);
    char key[64];
    char label[64];
    snprintf(key, sizeof(key), "%s_gbps", name);
    report_add(report, key, name, "GB/s", 2, &contest->speed[i]);
    if (i > 0) {
        report_note(report, "%.2f x %s",
                    samples_median(&contest->speed[i]) / samples_median(&contest->speed[i - 1]),
                    digest_engine_name(contest->engines[i - 1]));
    }
    snprintf(key, sizeof(key), "%s_ratio", name);
    snprintf(label, sizeof(label), "%s / b3sum", name);
    report_add(report, key, label, "", 2, &contest->ratio[i]);
    snprintf(key, sizeof(key), "%s_user_ratio", name);
    snprintf(label, sizeof(label), "%s / b3sum, user time", name);
    report_add(report, key, label, "", 2, &contest->user_ratio[i]);
}

static void tell_fingerprints(const struct contest *contest, struct report *report)
{
    for (size_t i = 0; i < contest->engine_count; i++) {
        const char *name = digest_engine_name(contest->engines[i]);
        char key[64];
        char label[64];
        snprintf(key, sizeof(key), "fingerprint_%s_gbps", name);
        snprintf(label, sizeof(label), "fingerprint, %s", name);
        report_add(report, key, label, "GB/s", 2, &contest->fingerprint_speed[i]);
        snprintf(key, sizeof(key), "fingerprint_%s_ratio", name);
        snprintf(label, sizeof(label), "fingerprint / BLAKE3, %s", name);
        report_add(report, key, label, "", 2, &contest->fingerprint_ratio[i]);
    }
    report_add(report, "xxh3_gbps", "XXH3, 128 bits", "GB/s", 2, &contest->xxh3_speed);
    report_add(report, "load_gbps", "loads alone", "GB/s", 2, &contest->load_speed);
    report_add(report, "fingerprint_xxh3_ratio", "fingerprint / XXH3", "", 2, &contest->xxh3_ratio);
    report_add(report, "fingerprint_load_ratio", "fingerprint / loads alone", "", 2,
               &contest->load_ratio);
}

static bool tell(void *work, const struct config *config)
{
    const struct contest *contest = work;
    struct report *report =
        report_make("digest", "digests on one thread, 10^9 bytes a second, and ratios");
    if (report == NULL) {
        return false;
    }
    char hex[DIGEST_HEX_BYTES];
    digest_hex(&contest->digest, hex);
    report_set_integer(report, "bytes", contest->bytes);
    report_set_text(report, "digest", hex);
    if (contest->b3sum[0] != '\0') {
        report_add(report, "b3sum_gbps", "b3sum --num-threads 1", "GB/s", 2, &contest->b3sum_speed);
        report_add(report, "b3sum_user_gbps", "b3sum, user time alone", "GB/s", 2,
                   &contest->b3sum_user_speed);
    } else {
        report_missing(report, "b3sum_gbps", "b3sum --num-threads 1", "b3sum is not installed");
        report_missing(report, "b3sum_user_gbps", "b3sum, user time alone",
                       "b3sum is not installed");
    }
    for (size_t i = 0; i < contest->engine_count; i++) {
        tell_engine(contest, i, report);
    }
    tell_fingerprints(contest, report);
    bool given = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                            config_text(config, KEY_CSV)});
    report_free(&report);
    return given;
}

static enum ckpt_status prepare(const struct config *config, void *work, char *reason)
{
    struct contest *contest = work;
    contest->bytes = (uint64_t)config_number(config, KEY_BYTES);
    contest->repeat = (uint32_t)config_number(config, KEY_REPEAT);
    fingerprint_key_derive((const uint8_t[FINGERPRINT_SECRET_BYTES]){1}, &contest->key);
    self_find("b3sum", contest->b3sum, sizeof(contest->b3sum));
    for (size_t i = 0; i < digest_engine_count() && contest->engine_count < ENGINES_MAX; i++) {
        if (digest_engine_supported(digest_engine_at(i))) {
            contest->engines[contest->engine_count++] = digest_engine_at(i);
        }
    }
    return make_data(contest, config_text(config, KEY_DIRECTORY), reason);
}

static void close_contest(void *work)
{
    struct contest *contest = work;
    buffer_free(&contest->data, contest->bytes);
}

const struct bench_case case_digest = {
    .name = "digest",
    .summary = "each engine of both kinds beside b3sum and XXH3, on one thread",
    .program = &program,
    .bytes = sizeof(struct contest),
    .prepare = prepare,
    .measure = measure,
    .tell = tell,
    .close = close_contest};
