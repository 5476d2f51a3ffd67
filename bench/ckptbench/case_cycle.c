/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench cycle: a checkpoint's whole life between real processes on this machine. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "process/complain.h"
#include "case.h"
#include "cluster/cycle.h"
#include "options.h"
#include "report/busy.h"
#include "report/environment.h"
#include "report/report.h"
#include "raw/spec.h"
#include "report/targets.h"

enum key {
    KEY_BYTES,
    KEY_RANKS,
    KEY_TRANSPORT,
    KEY_REPEAT,
    KEY_SMALL_REPEAT,
    KEY_COPY_THREADS,
    KEY_SEGMENT,
    KEY_DIRECTORY,
    KEY_AGENT_FLAGS,
    KEY_DIGEST,
    KEY_TIMEOUT,
    KEY_CHECK,
    KEY_JSON,
    KEY_CSV,
    KEY_COUNT
};

enum digests { DIGESTS_BLAKE3, DIGESTS_FINGERPRINT, DIGESTS_BOTH };
static const char *const digests[] = {"blake3", "fingerprint", "both", NULL};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = OPTION_BYTES("1GiB", 1 << 20,
                               "of a checkpoint, all ranks together; memory for about ten "
                               "times as much is needed, sixteen for two clusters"),
    [KEY_RANKS] = {.name = "ranks",
                   .flag = "ranks",
                   .type = CONFIG_INTEGER,
                   .fallback = "1",
                   .min = 1,
                   .max = RANKS_MAX,
                   .help = "ranks that save and load together, a thread each"},
    [KEY_TRANSPORT] = OPTION_TRANSPORT("data plane of the agents and of the raw read"),
    [KEY_REPEAT] = OPTION_REPEAT("7", "turns, after those that warm up and are not counted"),
    [KEY_SMALL_REPEAT] = {.name = "small_repeat",
                          .flag = "small-repeat",
                          .type = CONFIG_INTEGER,
                          .fallback = "200",
                          .min = 1,
                          .max = SAMPLES_MAX,
                          .help = "saves of 1 MiB"},
    [KEY_COPY_THREADS] = OPTION_COPY_THREADS(16, "threads of a rank's save, and of memcpy"),
    [KEY_SEGMENT] = OPTION_SEGMENT("of the arenas"),
    [KEY_DIRECTORY] = OPTION_DIRECTORY("in memory; all files are made below it and removed again"),
    [KEY_AGENT_FLAGS] = {.name = "agent_flags",
                         .flag = "agent-flags",
                         .type = CONFIG_STRING,
                         .placeholder = "FLAGS",
                         .help = "more flags for each ckptd: \"--digest-threads=1\""},
    [KEY_DIGEST] = {.name = "digest",
                    .flag = "digest",
                    .type = CONFIG_ENUM,
                    .choices = digests,
                    .fallback = "fingerprint",
                    .help = "what the coordinator has runs proven with; both: two clusters, turn "
                            "about, and how much sooner and cheaper the fingerprints are"},
    [KEY_TIMEOUT] = {.name = "timeout",
                     .flag = "timeout",
                     .type = CONFIG_DURATION,
                     .fallback = "60s",
                     .min = 1000,
                     .max = 3600000,
                     .help = "a save, wait or load that takes longer fails the run"},
    [KEY_CHECK] = OPTION_CHECK("compare with the targets for this size, exit 1 when one is missed"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench cycle",
    .version = CKPT_VERSION,
    .summary =
        "Measures a checkpoint's whole life: starts a coordinator and three agents on this "
        "machine, saves, replicates, verifies and restores through libckpt, and beside each step "
        "measures what the machine could do at best: memcpy, and the transport alone.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .details =
        "  save         ckpt_save, from the call to its return: the whole stall\n"
        "  replicate    from there to CONSISTENT: both digests, the transfer, the commit\n"
        "  restore      ckpt_load at an agent that has no copy, from the ask to the mapping\n"
        "  local        the same at the agent that has the copy: it is digested again\n"
        "A ratio is formed within a turn; docs/benchmarks.md tells how to read them.\n",
    .examples = "  ckptbench cycle --check\n"
                "  ckptbench cycle --bytes=256MiB --ranks=2 --transport=ucx:shm --json=-\n"
                "  ckptbench cycle --digest=both --check\n",
    .exit_codes = "  0  measured, and with --check no target was missed\n"
                  "  1  something could not be measured, or a target was missed\n"
                  "  2  the command line is wrong\n",
};

/* Prints each target; true when none that holds for this size was missed. */
static bool check_targets(const struct report *report, const struct target *targets, size_t count,
                          uint64_t bytes, FILE *out)
{
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        const struct target *target = &targets[i];
        double value;
        if (!report_value(report, target->key, &value)) {
            fprintf(out, "  MISSED  %s was not measured\n", target->key);
            good = false;
            continue;
        }
        if (!target_holds_for(target, bytes)) {
            fprintf(out,
                    "  %-6s  %s %.10g; the target is for checkpoints of %" PRIu64 " GiB and more\n",
                    "-", target->key, value, target->bytes_min / CKPT_GIB);
            continue;
        }
        bool held = target->at_most ? value <= target->limit : value >= target->limit;
        fprintf(out, "  %-6s  %s %.10g; target: %s %.10g\n", held ? "ok" : "MISSED", target->key,
                value, target->at_most ? "at most" : "at least", target->limit);
        good = good && held;
    }
    return good;
}

static bool check(const struct report *report, uint64_t bytes, bool both, FILE *out)
{
    struct environment where;
    size_t count = 0;
    fputc('\n', out);
    bool good = check_targets(report, targets_of_cycle, targets_of_cycle_count, bytes, out);
    if (!both) {
        return good;
    }
    environment_read(&where);
    const struct target *targets = targets_of_digests(where.cpu, &count);
    if (targets == NULL) {
        fprintf(out, "  -       no targets of fingerprints beside BLAKE3 are set for this CPU\n");
        return good;
    }
    return check_targets(report, targets, count, bytes, out) && good;
}

/* A row, or why it is missing. */
static void tell(struct report *report, const char *key, const char *label, const char *unit,
                 int digits, const struct samples *samples, const char *missing)
{
    if (samples->count > 0) {
        report_add(report, key, label, unit, digits, samples);
    } else {
        report_missing(report, key, label, "%s", missing[0] != '\0' ? missing : "not measured");
    }
}

static void tell_settings(struct report *report, const struct cycle *cycle)
{
    const struct cycle_options *options = &cycle->options;
    report_set_integer(report, "bytes", options->bytes);
    report_set_integer(report, "ranks", options->ranks);
    report_set_integer(report, "copies", 2);
    report_set_integer(report, "copy_threads", options->copy_threads);
    report_set_integer(report, "segment_bytes", options->segment_bytes);
    report_set_integer(report, "repeat", options->repeat);
    report_set_text(report, "transport", options->transport);
    report_set_text(report, "agent_flags",
                    options->agent_flags != NULL ? options->agent_flags : "");
    report_set_text(report, "digest_engine", digest_engine_name(cycle->engine));
    report_set_integer(report, "slice_bytes", raw_slice_bytes(cycle->raw));
    report_set_integer(report, "depth", raw_depth(cycle->raw));
}

static void tell_all(struct report *report, const struct cycle *c)
{
    const char *saves = c->save_missing;
    const char *small = c->small_missing;
    const char *loads = c->restore_missing;
    tell_settings(report, c);
    tell(report, "memcpy_gbps", "memcpy", "GB/s", 2, &c->memcpy_gbps, saves);
    tell(report, "save_gbps", "save: the stall", "GB/s", 2, &c->save_gbps, saves);
    tell(report, "stall_ratio", "  / memcpy", "", 3, &c->stall_ratio, saves);
    tell(report, "save_small_ms", "save of 1 MiB", "ms", 3, &c->small_save_ms, small);
    tell(report, "consistent_small_ms", "  to CONSISTENT", "ms", 3, &c->small_consistent_ms, small);
    tell(report, "raw_read_gbps", "raw read", "GB/s", 2, &c->raw_gbps, saves);
    tell(report, "raw_read_cpu_s_per_gb", "  CPU of both ends", "s/GB", 3, &c->raw_cpu, saves);
    tell(report, "digest_gbps", "digest, one thread", "GB/s", 2, &c->digest_gbps, saves);
    tell(report, "replicate_gbps", "replicate and verify", "GB/s", 2, &c->replicate_gbps, saves);
    tell(report, "replicate_ratio", "  / raw read", "", 3, &c->replicate_ratio, saves);
    tell(report, "replicate_roof_gbps", "  roofline", "GB/s", 2, &c->replicate_roof, saves);
    tell(report, "replicate_cpu_s_per_gb", "  CPU of all daemons", "s/GB", 3, &c->replicate_cpu,
         saves);
    tell(report, "consistent_s", "  to CONSISTENT", "s", 3, &c->consistent_s, saves);
    tell(report, "raw_read_restore_gbps", "raw read, beside restore", "GB/s", 2,
         &c->raw_restore_gbps, loads);
    tell(report, "restore_gbps", "restore from a peer", "GB/s", 2, &c->restore_gbps, loads);
    tell(report, "restore_ratio", "  / raw read", "", 3, &c->restore_ratio, loads);
    tell(report, "restore_roof_gbps", "  roofline", "GB/s", 2, &c->restore_roof, loads);
    tell(report, "restore_cpu_s_per_gb", "  CPU of all daemons", "s/GB", 3, &c->restore_cpu, loads);
    tell(report, "restore_s", "  to the mapping", "s", 3, &c->restore_s, loads);
    tell(report, "local_restore_s", "restore where it was saved", "s", 3, &c->local_restore_s,
         loads);
    if (c->memory_beyond.count > 0) {
        report_add_one(report, "agent_rss_beyond_arena_bytes", "agent's memory beside its arena",
                       "bytes", 0, samples_max(&c->memory_beyond));
        report_note(report, "most of %d agents", CLUSTER_AGENTS);
    } else {
        report_missing(report, "agent_rss_beyond_arena_bytes", "agent's memory beside its arena",
                       "%s", saves[0] != '\0' ? saves : "/proc/PID/smaps cannot be read");
    }
}

/* BLAKE3's own figures, and how much of them a turn of fingerprints beside each of its took. */
static void tell_pairs(struct report *report, const struct cycle *blake3,
                       const struct cycle_pairs *pairs)
{
    const char *saves = blake3->save_missing;
    const char *small = blake3->small_missing;
    const char *loads = blake3->restore_missing;
    tell(report, "blake3_replicate_gbps", "by BLAKE3: replicate and verify", "GB/s", 2,
         &blake3->replicate_gbps, saves);
    tell(report, "blake3_replicate_cpu_s_per_gb", "  CPU of all daemons", "s/GB", 3,
         &blake3->replicate_cpu, saves);
    tell(report, "blake3_digest_gbps", "  digest, one thread", "GB/s", 2, &blake3->digest_gbps,
         saves);
    tell(report, "blake3_consistent_small_ms", "  1 MiB to CONSISTENT", "ms", 3,
         &blake3->small_consistent_ms, small);
    tell(report, "blake3_restore_gbps", "  restore from a peer", "GB/s", 2, &blake3->restore_gbps,
         loads);
    tell(report, "blake3_local_restore_s", "  restore where it was saved", "s", 3,
         &blake3->local_restore_s, loads);
    tell(report, "replicate_speedup", "fingerprint: replicate and verify", "x", 2,
         &pairs->replicate_speedup, saves);
    tell(report, "cpu_ratio", "  CPU of all daemons", "x", 3, &pairs->cpu_ratio, saves);
    tell(report, "consistent_small_ratio", "  time of 1 MiB to CONSISTENT", "x", 3,
         &pairs->small_ratio, small);
    tell(report, "restore_speedup", "  restore from a peer", "x", 2, &pairs->restore_speedup,
         loads);
    tell(report, "local_restore_speedup", "  restore where it was saved", "x", 2,
         &pairs->local_restore_speedup, loads);
}

static void read_options(const struct config *config, struct cycle_options *options_out)
{
    uint32_t ranks = (uint32_t)config_number(config, KEY_RANKS);
    uint64_t bytes = (uint64_t)config_number(config, KEY_BYTES);
    *options_out = (struct cycle_options){
        .bytes = bytes - bytes % ranks,
        .ranks = ranks,
        .repeat = (uint32_t)config_number(config, KEY_REPEAT),
        .small_repeat = (uint32_t)config_number(config, KEY_SMALL_REPEAT),
        .copy_threads = (uint32_t)config_number(config, KEY_COPY_THREADS),
        .timeout_ms = (uint32_t)config_number(config, KEY_TIMEOUT),
        .segment_bytes = (uint64_t)config_number(config, KEY_SEGMENT),
        .transport = config_text(config, KEY_TRANSPORT),
        .directory = config_text(config, KEY_DIRECTORY),
        .agent_flags = config_text(config, KEY_AGENT_FLAGS),
    };
}

/* Cycles of one call: one, or BLAKE3's and then the fingerprints'. */
struct bench_cycles {
    size_t count;
    struct cycle *cycles[CYCLES_MAX];
};

static bool is_complete(const struct cycle *cycle)
{
    const char *missing[] = {cycle->save_missing, cycle->small_missing, cycle->restore_missing};
    bool complete = true;
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        if (missing[i][0] != '\0') {
            complain("cycle: %s", missing[i]);
            complete = false;
        }
    }
    return complete;
}

static struct report *make_report(const struct bench_cycles *all, const char *digest)
{
    char title[160];
    const struct cycle *cycle = all->cycles[all->count - 1];
    snprintf(title, sizeof(title),
             "%" PRIu64 " MiB, %u rank%s, 2 copies, %s, %" PRIu64 " MiB x %u, digest %s, %s",
             cycle->options.bytes / CKPT_MIB, cycle->options.ranks,
             cycle->options.ranks == 1 ? "" : "s", cycle->options.transport,
             raw_slice_bytes(cycle->raw) / CKPT_MIB, raw_depth(cycle->raw), digest,
             digest_engine_name(cycle->engine));
    return report_make("cycle", title);
}

/* Whether all was measured, told, and meets the targets where that was asked. */
static bool conclude(const struct bench_cycles *all, const struct config *config)
{
    const struct cycle *last = all->cycles[all->count - 1];
    struct report_files files = {config_text(config, KEY_JSON), config_text(config, KEY_CSV)};
    bool piped = (files.json != NULL && strcmp(files.json, "-") == 0) ||
                 (files.csv != NULL && strcmp(files.csv, "-") == 0);
    struct cycle_pairs *pairs = calloc(1, sizeof(*pairs));
    struct report *report = make_report(all, config_text(config, KEY_DIGEST));
    bool good = report != NULL && pairs != NULL;
    if (good) {
        report_set_text(report, "digest", config_text(config, KEY_DIGEST));
        tell_all(report, last);
        if (all->count > 1) {
            cycle_compare(all->cycles[0], last, pairs);
            tell_pairs(report, all->cycles[0], pairs);
        }
        good = report_give(report, &files);
    }
    for (size_t i = 0; i < all->count; i++) {
        good = is_complete(all->cycles[i]) && good;
    }
    if (report != NULL && config_flag(config, KEY_CHECK)) {
        good = check(report, last->options.bytes, all->count > 1, piped ? stderr : stdout) && good;
    }
    report_free(&report);
    free(pairs);
    return good;
}

static enum ckpt_status open_all(const struct cycle_options *options, enum digests asked,
                                 struct bench_cycles *all, char *reason)
{
    struct cycle_options each = *options;
    bool both = asked == DIGESTS_BOTH;
    enum ckpt_status status = spec_check(options->transport, NULL, reason);
    for (size_t i = 0; i < (both ? 2U : 1U) && status == CKPT_OK; i++) {
        bool is_blake3 = both ? i == 0 : asked == DIGESTS_BLAKE3;
        struct cycle *cycle = calloc(1, sizeof(*cycle));
        if (cycle == NULL) {
            return reason_refuse(reason, CKPT_ERR_MEMORY, "out of memory");
        }
        each.digest = is_blake3 ? DIGEST_KIND_BLAKE3 : DIGEST_KIND_FINGERPRINT;
        all->cycles[all->count++] = cycle;
        status = cycle_open(&each, i > 0 ? all->cycles[0] : NULL, cycle, reason);
    }
    return status;
}

static enum bench_exit run(int argc, char **argv)
{
    struct config *config;
    struct cycle_options options;
    struct bench_cycles all = {.count = 0};
    enum bench_exit code;
    char reason[CKPT_REASON_MAX + 1] = "";
    if (!case_options(&program, argc, argv, &config, &code)) {
        return code;
    }
    busy_begin();
    read_options(config, &options);
    enum ckpt_status status =
        open_all(&options, (enum digests)config_number(config, KEY_DIGEST), &all, reason);
    if (status != CKPT_OK) {
        code = case_fail("cycle", status, reason);
    } else {
        cycle_measure(all.cycles, all.count);
        code = conclude(&all, config) ? BENCH_OK : BENCH_FAILED;
    }
    while (all.count > 0) { /* the first, which lends, last */
        cycle_close(all.cycles[--all.count]);
        free(all.cycles[all.count]);
    }
    config_delete(&config);
    return code;
}

const struct bench_case case_cycle = {
    .name = "cycle",
    .summary = "save, replicate, restore between real agents, beside memcpy and raw read",
    .program = &program,
    .run = run};
