/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench scale --real: what one real ckptctld costs under a whole cluster's agents, idle and
 * while all ranks save; one beside another when several are given. */
#include "case_scale_real.h"

#include "process/complain.h"
#include "report/busy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/reason.h"
#include "process/belongings.h"
#include "process/clock.h"
#include "options.h"
#include "process/progress.h"
#include "cluster/real_coordinator.h"
#include "cluster/real_fleet.h"
#include "report/report.h"
#include "process/self.h"

#define PROGRAMS_MAX 4
#define JOIN_TIMEOUT_S 60.0
#define SAVE_TIMEOUT_S 120.0
#define SETTLE_S 3.0
#define IDLE_TARGET 0.25

enum key {
    KEY_REAL,
    KEY_PROGRAMS,
    KEY_AGENTS,
    KEY_RANKS,
    KEY_COPIES,
    KEY_KEEP,
    KEY_PER_DOMAIN,
    KEY_SECONDS,
    KEY_SAVES,
    KEY_FIT,
    KEY_REPEAT,
    KEY_DIRECTORY,
    KEY_CHECK,
    KEY_JSON,
    KEY_CSV,
    KEY_COUNT
};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_REAL] = {.name = "real",
                  .flag = "real",
                  .type = CONFIG_BOOL,
                  .fallback = "no",
                  .help = "this case; without it the coordinator's machine alone is measured"},
    [KEY_PROGRAMS] = {.name = "ckptctld",
                      .flag = "ckptctld",
                      .type = CONFIG_LIST,
                      .placeholder = "PATH,...",
                      .fallback_is = "the one beside this program",
                      .help = "what to measure, at most 4; the first is compared with each other"},
    [KEY_AGENTS] = {.name = "agents",
                    .flag = "agents",
                    .letter = 'a',
                    .type = CONFIG_INTEGER,
                    .fallback = "1000",
                    .min = 2,
                    .max = CKPT_AGENTS_MAX,
                    .help = "agents, each with a connection of its own"},
    [KEY_RANKS] = {.name = "ranks",
                   .flag = "ranks",
                   .type = CONFIG_INTEGER,
                   .fallback = "8",
                   .min = 1,
                   .max = 64,
                   .help = "ranks of one run on each agent"},
    [KEY_COPIES] = {.name = "copies",
                    .flag = "copies",
                    .type = CONFIG_INTEGER,
                    .fallback = "2",
                    .min = 1,
                    .max = CKPT_COPIES_MAX,
                    .help = "copies of each shard"},
    [KEY_KEEP] = {.name = "keep",
                  .flag = "keep",
                  .type = CONFIG_INTEGER,
                  .fallback = "3",
                  .min = 1,
                  .max = 16,
                  .help = "consistent checkpoints kept"},
    [KEY_PER_DOMAIN] = {.name = "agents_per_domain",
                        .flag = "agents-per-domain",
                        .type = CONFIG_INTEGER,
                        .fallback = "4",
                        .min = 1,
                        .max = 4096,
                        .help = "agents of one failure domain"},
    [KEY_SECONDS] = {.name = "seconds",
                     .flag = "seconds",
                     .type = CONFIG_INTEGER,
                     .fallback = "10",
                     .min = 1,
                     .max = 3600,
                     .help = "how long it is watched while nothing is saved"},
    [KEY_SAVES] = {.name = "saves",
                   .flag = "saves",
                   .type = CONFIG_INTEGER,
                   .fallback = "5",
                   .min = 1,
                   .max = 1000,
                   .help = "checkpoints of all ranks that count, after as many as are kept"},
    [KEY_FIT] = {.name = "fit_tables",
                 .flag = "fit-tables",
                 .type = CONFIG_BOOL,
                 .fallback = "no",
                 .help =
                     "tell each ckptctld to make its tables for this fleet; without it they are "
                     "its defaults"},
    [KEY_REPEAT] = OPTION_REPEAT("1", "turns over all the programs"),
    [KEY_DIRECTORY] = OPTION_DIRECTORY("where the records and logs are for the time of the run"),
    [KEY_CHECK] = OPTION_CHECK("exit 1 when the first costs more than 0.25 times the last at idle"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench scale --real",
    .version = CKPT_VERSION,
    .summary =
        "Measures a real ckptctld under the agents of a whole cluster: their own machines, each "
        "with a TCP connection on loopback; memory, reads and digests are played and take no time. "
        "All ranks save as many checkpoints as are kept, then those that count; then nothing is "
        "saved. CPU time is the process's, all threads.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .examples = "  ckptbench scale --real\n"
                "  ckptbench scale --real --agents=4000 --fit-tables\n"
                "  ckptbench scale --real --fit-tables --ckptctld=build/release/bin/ckptctld,"
                "../old/ckptctld\n",
};

/* What one ckptctld cost, over all turns. */
struct cost {
    const char *path;
    struct samples join_s;
    struct samples idle_cpu;       /* seconds a second */
    struct samples idle_frames;    /* a second, both ways */
    struct samples idle_fleet_cpu; /* of this process */
    struct samples save_s;         /* from the first ask to the last rank that knows */
    struct samples save_cpu_s;     /* a checkpoint */
    struct samples save_cpu;       /* seconds a second */
    struct samples save_frames;    /* a checkpoint */
    struct samples save_fleet_cpu;
    struct samples rss_mib;
};

struct scale_real {
    const struct config *config;
    struct real_fleet_options fleet;
    const char *directory;
    uint32_t count;
    struct cost costs[PROGRAMS_MAX];
    uint32_t started;
};

static uint32_t number(const struct scale_real *scale, enum key key)
{
    return (uint32_t)config_number(scale->config, (size_t)key);
}

/* Clocks and counts at one moment. */
struct moment {
    uint64_t ns;
    uint64_t cpu_ns;
    uint64_t fleet_cpu_ns;
    uint64_t frames;
};

static struct moment moment_of(const struct real_coordinator *coordinator,
                               const struct real_fleet *fleet)
{
    struct real_fleet_counters counters = real_fleet_counters(fleet);
    return (struct moment){.ns = clock_now_ns(),
                           .cpu_ns = process_cpu_ns(coordinator->pid),
                           .fleet_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
                           .frames = counters.frames_sent + counters.frames_received};
}

static double part(uint64_t from, uint64_t to, double of)
{
    return (double)(to - from) / 1e9 / of;
}

static enum ckpt_status measure_saves(const struct scale_real *scale,
                                      const struct real_coordinator *coordinator,
                                      struct real_fleet *fleet, struct cost *cost, char *reason)
{
    enum ckpt_status status = CKPT_OK;
    uint32_t first = scale->fleet.keep + 1; /* from here on each retires one */
    for (uint32_t i = 0; i < first + number(scale, KEY_SAVES) && status == CKPT_OK; i++) {
        progress_part(i, first + number(scale, KEY_SAVES), "scale: %s: checkpoint %" PRIu32,
                      cost->path, i + 1);
        struct moment from = moment_of(coordinator, fleet);
        status = real_fleet_save(fleet, SAVE_TIMEOUT_S, reason);
        struct moment to = moment_of(coordinator, fleet);
        double seconds = (double)(to.ns - from.ns) / 1e9;
        if (status == CKPT_OK && i >= first) {
            samples_add(&cost->save_s, seconds);
            samples_add(&cost->save_cpu_s, part(from.cpu_ns, to.cpu_ns, 1));
            samples_add(&cost->save_cpu, part(from.cpu_ns, to.cpu_ns, seconds));
            samples_add(&cost->save_frames, (double)(to.frames - from.frames));
            samples_add(&cost->save_fleet_cpu, part(from.fleet_cpu_ns, to.fleet_cpu_ns, seconds));
        }
    }
    return status;
}

static enum ckpt_status measure_idle(const struct scale_real *scale,
                                     const struct real_coordinator *coordinator,
                                     struct real_fleet *fleet, struct cost *cost, char *reason)
{
    progress("scale: %s: idle", cost->path);
    enum ckpt_status status = real_fleet_live(fleet, SETTLE_S, reason);
    struct moment from = moment_of(coordinator, fleet);
    if (status == CKPT_OK) {
        status = real_fleet_live(fleet, number(scale, KEY_SECONDS), reason);
    }
    struct moment to = moment_of(coordinator, fleet);
    double seconds = (double)(to.ns - from.ns) / 1e9;
    if (status == CKPT_OK) {
        samples_add(&cost->idle_cpu, part(from.cpu_ns, to.cpu_ns, seconds));
        samples_add(&cost->idle_fleet_cpu, part(from.fleet_cpu_ns, to.fleet_cpu_ns, seconds));
        samples_add(&cost->idle_frames, (double)(to.frames - from.frames) / seconds);
        samples_add(&cost->rss_mib, real_coordinator_rss_mib(coordinator));
    }
    return status;
}

static enum ckpt_status measure_fleet(const struct scale_real *scale,
                                      const struct real_coordinator *coordinator, struct cost *cost,
                                      char *reason)
{
    struct real_fleet *fleet = NULL;
    struct real_fleet_options options = scale->fleet;
    uint64_t start_ns = clock_now_ns();
    options.coordinator = coordinator->address;
    progress("scale: %s: %" PRIu32 " agents join", cost->path, options.agents);
    enum ckpt_status status = real_fleet_open(&options, &fleet, reason);
    if (status == CKPT_OK) {
        status = real_fleet_join(fleet, JOIN_TIMEOUT_S, reason);
    }
    if (status == CKPT_OK) {
        samples_add(&cost->join_s, seconds_since(start_ns));
        status = measure_saves(scale, coordinator, fleet, cost, reason);
    }
    if (status == CKPT_OK) {
        status = measure_idle(scale, coordinator, fleet, cost, reason);
    }
    real_fleet_close(&fleet);
    return status;
}

static enum ckpt_status measure(struct scale_real *scale, struct cost *cost, char *reason)
{
    char directory[PATH_MAX];
    struct real_coordinator coordinator;
    snprintf(directory, sizeof(directory), "%s/%" PRIu32, scale->directory, scale->started++);
    struct real_coordinator_options options = {
        .path = cost->path, .directory = directory, .keep = scale->fleet.keep};
    if (config_flag(scale->config, KEY_FIT)) {
        options.agents_max = scale->fleet.agents;
        options.shards_max = (scale->fleet.keep + 3) * scale->fleet.agents * scale->fleet.ranks;
    }
    enum ckpt_status status = real_coordinator_start(&options, &coordinator, reason);
    if (status == CKPT_OK) {
        status = measure_fleet(scale, &coordinator, cost, reason);
    }
    if (status != CKPT_OK && coordinator.pid > 0 && !belongings_alive(coordinator.pid)) {
        reason_set(reason, "%.200s ended in mid-run", cost->path);
    }
    real_coordinator_end(&coordinator);
    return status;
}

/* ---- the report ---- */

struct row {
    const char *key;
    const char *label;
    const char *unit;
    int digits;
    size_t samples; /* where in struct cost */
};

#define ROW(member, words, unit_, digits_)                                                         \
    {                                                                                              \
        .key = #member, .label = (words), .unit = (unit_), .digits = (digits_),                    \
        .samples = offsetof(struct cost, member)                                                   \
    }

static const struct row rows[] = {
    ROW(idle_cpu, "CPU at idle", "s/s", 4),
    ROW(save_cpu, "CPU while saving", "s/s", 3),
    ROW(save_cpu_s, "CPU a checkpoint", "s", 3),
    ROW(save_s, "checkpoint consistent after", "s", 3),
    ROW(join_s, "all agents joined after", "s", 2),
    ROW(rss_mib, "resident memory", "MiB", 1),
    ROW(idle_frames, "frames a second at idle", "", 0),
    ROW(save_frames, "frames a checkpoint", "", 0),
    ROW(idle_fleet_cpu, "the fleet's own CPU at idle", "s/s", 3),
    ROW(save_fleet_cpu, "the fleet's own CPU while saving", "s/s", 3),
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct samples *row_samples(const struct cost *cost, size_t row)
{
    return (const struct samples *)((const char *)cost + rows[row].samples);
}

static void tell_rows(const struct scale_real *scale, struct report *report)
{
    for (uint32_t i = 0; i < scale->count; i++) {
        for (size_t j = 0; j < ROWS; j++) {
            char key[64];
            char label[128];
            snprintf(key, sizeof(key), i == 0 ? "%s" : "%s_%" PRIu32, rows[j].key, i + 1);
            snprintf(label, sizeof(label), scale->count == 1 ? "%s" : "%s, %" PRIu32, rows[j].label,
                     i + 1);
            report_add(report, key, label, rows[j].unit, rows[j].digits,
                       row_samples(&scale->costs[i], j));
        }
    }
}

/* The first beside the others; true when it is within the target beside the last. */
static bool tell_ratios(const struct scale_real *scale, struct report *report)
{
    double ratio = 0;
    for (uint32_t i = 1; i < scale->count; i++) {
        static const size_t compared[] = {0, 2, 3};
        for (size_t j = 0; j < sizeof(compared) / sizeof(compared[0]); j++) {
            char key[64];
            char label[128];
            size_t row = compared[j];
            double value = samples_median(row_samples(&scale->costs[0], row)) /
                           samples_median(row_samples(&scale->costs[i], row));
            snprintf(key, sizeof(key), "%s_ratio_%" PRIu32, rows[row].key, i + 1);
            snprintf(label, sizeof(label), "%s, 1 / %" PRIu32, rows[row].label, i + 1);
            report_add_one(report, key, label, "x", 3, value);
            ratio = row == 0 ? value : ratio;
        }
    }
    return ratio <= IDLE_TARGET;
}

static bool tell(const struct scale_real *scale)
{
    char title[160];
    const struct config *config = scale->config;
    snprintf(title, sizeof(title),
             "ckptctld under %" PRIu32 " agents x %" PRIu32 " ranks x %" PRIu32 " copies, %" PRIu32
             " checkpoints kept",
             scale->fleet.agents, scale->fleet.ranks, scale->fleet.copies, scale->fleet.keep);
    struct report *report = report_make("scale", title);
    if (report == NULL) {
        return false;
    }
    report_set_integer(report, "agents", scale->fleet.agents);
    report_set_integer(report, "ranks", scale->fleet.ranks);
    report_set_integer(report, "copies", scale->fleet.copies);
    report_set_integer(report, "keep", scale->fleet.keep);
    report_set_integer(report, "default_tables", !config_flag(config, KEY_FIT));
    for (uint32_t i = 0; scale->count > 1 && i < scale->count; i++) {
        report_say(report, "%" PRIu32 ": %s", i + 1, scale->costs[i].path);
    }
    tell_rows(scale, report);
    bool within = tell_ratios(scale, report);
    bool good = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                           config_text(config, KEY_CSV)});
    report_free(&report);
    if (config_flag(config, KEY_CHECK) && !within) {
        complain("scale: MISSED: more than %.2f times the CPU of the last at idle", IDLE_TARGET);
        good = false;
    }
    return good;
}

/* ---- what is asked for ---- */

static enum ckpt_status choose_programs(struct scale_real *scale, char *reason)
{
    static char beside[PATH_MAX];
    size_t count = config_list_count(scale->config, KEY_PROGRAMS);
    if (count > PROGRAMS_MAX) {
        return reason_refuse(reason, CKPT_ERR_CONFIG, "at most %d programs at once", PROGRAMS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        scale->costs[i].path = config_list_at(scale->config, KEY_PROGRAMS, i);
    }
    if (count == 0) {
        (void)self_sibling("ckptctld", beside, sizeof(beside));
        scale->costs[count++].path = beside;
    }
    scale->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (access(scale->costs[i].path, X_OK) != 0) {
            return reason_refuse(reason, CKPT_ERR_CONFIG, "%.200s: there is no such program",
                                 scale->costs[i].path);
        }
    }
    return CKPT_OK;
}

static enum ckpt_status prepare(struct scale_real *scale, char *reason)
{
    scale->fleet = (struct real_fleet_options){.agents = number(scale, KEY_AGENTS),
                                               .ranks = number(scale, KEY_RANKS),
                                               .copies = number(scale, KEY_COPIES),
                                               .keep = number(scale, KEY_KEEP),
                                               .agents_per_domain = number(scale, KEY_PER_DOMAIN)};
    const struct real_fleet_options *fleet = &scale->fleet;
    uint32_t domains = (fleet->agents + fleet->agents_per_domain - 1) / fleet->agents_per_domain;
    if ((uint64_t)fleet->agents * fleet->ranks > CKPT_WORLD_MAX) {
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "%" PRIu32 " agents with %" PRIu32 " ranks are more than a world has",
                             fleet->agents, fleet->ranks);
    }
    if (domains < fleet->copies) {
        return reason_refuse(reason, CKPT_ERR_CONFIG,
                             "%" PRIu32 " agents of %" PRIu32
                             " a domain are too few domains for %" PRIu32 " copies",
                             fleet->agents, fleet->agents_per_domain, fleet->copies);
    }
    enum ckpt_status status = choose_programs(scale, reason);
    if (status == CKPT_OK) {
        scale->directory =
            belongings_make_directory(config_text(scale->config, KEY_DIRECTORY), "ckptbench");
        if (scale->directory == NULL) {
            return reason_refuse(reason, CKPT_ERR_CONFIG, "no directory can be made in %.200s",
                                 config_text(scale->config, KEY_DIRECTORY));
        }
    }
    return status;
}

enum bench_exit case_scale_real(int argc, char **argv)
{
    struct config *config;
    enum bench_exit code;
    char reason[CKPT_REASON_MAX + 1] = "";
    if (!case_options(&program, argc, argv, &config, &code)) {
        return code;
    }
    busy_begin();
    struct scale_real *scale = calloc(1, sizeof(*scale));
    enum ckpt_status status = CKPT_ERR_MEMORY;
    if (scale != NULL) {
        scale->config = config;
        status = prepare(scale, reason);
        for (uint32_t i = 0; status == CKPT_OK && i < number(scale, KEY_REPEAT); i++) {
            for (uint32_t j = 0; status == CKPT_OK && j < scale->count; j++) {
                status = measure(scale, &scale->costs[j], reason);
            }
        }
    }
    if (status != CKPT_OK) {
        code = case_fail("scale", status, reason);
    } else {
        code = tell(scale) ? BENCH_OK : BENCH_FAILED;
    }
    free(scale);
    config_delete(&config);
    return code;
}
