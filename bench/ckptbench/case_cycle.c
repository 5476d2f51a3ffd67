/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench cycle: a checkpoint's whole life between real processes on this machine. */
#include <inttypes.h>
#include <string.h>

#include "process/complain.h"
#include "case.h"
#include "cluster/cycle.h"
#include "options.h"
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
    KEY_TIMEOUT,
    KEY_CHECK,
    KEY_JSON,
    KEY_CSV,
    KEY_COUNT
};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_BYTES] = OPTION_BYTES("1GiB", 1 << 20,
                               "of a checkpoint, all ranks together; memory for about ten "
                               "times as much is needed"),
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
                "  ckptbench cycle --bytes=256MiB --ranks=2 --transport=ucx:shm --json=-\n",
    .exit_codes = "  0  measured, and with --check no target was missed\n"
                  "  1  something could not be measured, or a target was missed\n"
                  "  2  the command line is wrong\n",
};

/* Prints each target; true when none that holds for this size was missed. */
static bool check(const struct report *report, uint64_t bytes, FILE *out)
{
    bool good = true;
    fputc('\n', out);
    for (size_t i = 0; i < targets_of_cycle_count; i++) {
        const struct target *target = &targets_of_cycle[i];
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

/* Whether all was measured, told, and meets the targets where that was asked. */
static bool conclude(void *work, const struct config *config)
{
    const struct cycle *cycle = work;
    char title[160];
    struct report_files files = {config_text(config, KEY_JSON), config_text(config, KEY_CSV)};
    bool piped = (files.json != NULL && strcmp(files.json, "-") == 0) ||
                 (files.csv != NULL && strcmp(files.csv, "-") == 0);
    snprintf(title, sizeof(title),
             "%" PRIu64 " MiB, %u rank%s, 2 copies, %s, %" PRIu64 " MiB x %u, digest %s",
             cycle->options.bytes / CKPT_MIB, cycle->options.ranks,
             cycle->options.ranks == 1 ? "" : "s", cycle->options.transport,
             raw_slice_bytes(cycle->raw) / CKPT_MIB, raw_depth(cycle->raw),
             digest_engine_name(cycle->engine));
    struct report *report = report_make("cycle", title);
    if (report == NULL) {
        return false;
    }
    tell_all(report, cycle);
    bool good = report_give(report, &files);
    const char *missing[] = {cycle->save_missing, cycle->small_missing, cycle->restore_missing};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        if (missing[i][0] != '\0') {
            complain("cycle: %s", missing[i]);
            good = false;
        }
    }
    if (config_flag(config, KEY_CHECK)) {
        good = check(report, cycle->options.bytes, piped ? stderr : stdout) && good;
    }
    report_free(&report);
    return good;
}

static enum ckpt_status prepare(const struct config *config, void *work, char *reason)
{
    struct cycle_options options;
    read_options(config, &options);
    enum ckpt_status status = spec_check(options.transport, NULL, reason);
    return status == CKPT_OK ? cycle_open(&options, work, reason) : status;
}

/* What cannot be measured is told as missing, and the rest is. */
static enum ckpt_status measure(void *work, char *reason)
{
    (void)reason;
    cycle_measure(work);
    return CKPT_OK;
}

static void cycle_end(void *work)
{
    cycle_close(work);
}

const struct bench_case case_cycle = {
    .name = "cycle",
    .summary = "save, replicate, restore between real agents, beside memcpy and raw read",
    .program = &program,
    .bytes = sizeof(struct cycle),
    .prepare = prepare,
    .measure = measure,
    .tell = conclude,
    .close = cycle_end};
