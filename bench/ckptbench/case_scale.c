/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench scale: what the coordinator's decisions cost, and whether that grows with the cluster
 * alone. */
#include <stdlib.h>
#include <string.h>

#include "process/complain.h"
#include "report/busy.h"
#include "case.h"
#include "case_scale_real.h"
#include "cluster/fleet.h"
#include "options.h"
#include "process/progress.h"
#include "report/report.h"

#define SIZES_MAX 16
#define HEARTBEAT_TARGET_US 2.0
#define GROWTH_TARGET 1.1
#define GROWTH_FROM 256 /* agents: the target is for clusters from here on */

enum key {
    KEY_FROM,
    KEY_TO,
    KEY_RANKS,
    KEY_PER_DOMAIN,
    KEY_OTHERS,
    KEY_REPEAT,
    KEY_CHECK,
    KEY_JSON,
    KEY_CSV,
    KEY_COUNT
};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_FROM] = {.name = "from",
                  .flag = "from",
                  .type = CONFIG_INTEGER,
                  .fallback = "256",
                  .min = 2,
                  .max = CKPT_AGENTS_MAX,
                  .help = "agents of the smallest cluster"},
    [KEY_TO] = {.name = "agents",
                .flag = "agents",
                .letter = 'a',
                .type = CONFIG_INTEGER,
                .fallback = "4096",
                .min = 2,
                .max = CKPT_AGENTS_MAX,
                .help = "agents of the largest; each size between is twice the one before"},
    [KEY_RANKS] = {.name = "ranks_per_agent",
                   .flag = "ranks-per-agent",
                   .type = CONFIG_INTEGER,
                   .fallback = "8",
                   .min = 1,
                   .max = 64,
                   .help = "ranks of one run on each agent"},
    [KEY_PER_DOMAIN] = {.name = "agents_per_domain",
                        .flag = "agents-per-domain",
                        .type = CONFIG_INTEGER,
                        .fallback = "4",
                        .min = 1,
                        .max = 4096,
                        .help = "agents of one failure domain"},
    [KEY_OTHERS] = {.name = "others",
                    .flag = "others",
                    .type = CONFIG_INTEGER,
                    .fallback = "16000",
                    .min = 16,
                    .max = 1 << 20,
                    .help = "checkpoints of other runs in the tables of one more measurement"},
    [KEY_REPEAT] = OPTION_REPEAT("7", "turns over all sizes, after one that is not counted"),
    [KEY_CHECK] =
        OPTION_CHECK("exit 1 when a join or a checkpoint of the largest costs over 1.1 "
                     "times as much an agent, or a heartbeat beside the others over 2 us"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench scale",
    .version = CKPT_VERSION,
    .summary =
        "Measures the coordinator's machine alone, in this process, with simulated agents: they "
        "join, all ranks save one checkpoint, every copy is verified, it is committed; then "
        "another, which retires the first. CPU time of the machine, an agent.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .examples =
        "  ckptbench scale --check\n"
        "  ckptbench scale --agents=8192 --json=scale.json\n"
        "  ckptbench scale --real --help    a real ckptctld under the agents of a cluster\n",
};

struct size {
    uint32_t agents;
    struct fleet_cost best; /* each phase at its best: other work on the machine only adds */
};

struct scale {
    uint32_t size_count;
    struct size sizes[SIZES_MAX];
    uint32_t ranks_per_agent;
    uint32_t agents_per_domain;
    uint32_t others;
    uint32_t repeat;
    struct fleet_cost full; /* the smallest, beside the others */
};

static double least(double a, double b)
{
    return b == 0 || a < b ? a : b;
}

static void keep_best(struct fleet_cost *best, const struct fleet_cost *cost)
{
    best->join_s = least(cost->join_s, best->join_s);
    best->save_s = least(cost->save_s, best->save_s);
    best->verify_s = least(cost->verify_s, best->verify_s);
    best->next_s = least(cost->next_s, best->next_s);
    best->heartbeat_s = least(cost->heartbeat_s, best->heartbeat_s);
    best->events = cost->events;
    best->memory_bytes = cost->memory_bytes;
}

static enum ckpt_status measure_full(struct scale *scale, char *reason)
{
    struct fleet_options options = {.agents = scale->sizes[0].agents,
                                    .ranks_per_agent = scale->ranks_per_agent,
                                    .agents_per_domain = scale->agents_per_domain,
                                    .others = scale->others};
    struct fleet_cost cost;
    enum ckpt_status status = fleet_run(&options, &cost, reason);
    if (status == CKPT_OK) {
        keep_best(&scale->full, &cost);
    }
    return status;
}

static enum ckpt_status take_turns(struct scale *scale, char *reason)
{
    for (uint32_t turn = 0; turn <= scale->repeat; turn++) {
        for (uint32_t i = 0; i < scale->size_count; i++) {
            struct size *size = &scale->sizes[i];
            struct fleet_options options = {.agents = size->agents,
                                            .ranks_per_agent = scale->ranks_per_agent,
                                            .agents_per_domain = scale->agents_per_domain};
            struct fleet_cost cost;
            progress_part((uint64_t)turn * scale->size_count + i,
                          (scale->repeat + UINT64_C(1)) * scale->size_count,
                          "scale: turn %u of %u, %u agents", turn, scale->repeat, size->agents);
            enum ckpt_status status = fleet_run(&options, &cost, reason);
            if (status != CKPT_OK) {
                return status;
            }
            if (turn > 0) {
                keep_best(&size->best, &cost);
            }
        }
        enum ckpt_status status = measure_full(scale, reason);
        if (status != CKPT_OK) {
            return status;
        }
    }
    return CKPT_OK;
}

/* Each in microseconds an agent. */
struct column {
    const char *key;
    const char *head;
    double (*value)(const struct fleet_cost *cost);
    bool has_target; /* the others only show: their memory leaves the caches in large clusters */
};

static double join(const struct fleet_cost *cost)
{
    return cost->join_s;
}

static double checkpoint(const struct fleet_cost *cost)
{
    return cost->save_s + cost->verify_s;
}

static double next(const struct fleet_cost *cost)
{
    return cost->next_s;
}

static double heartbeat(const struct fleet_cost *cost)
{
    return cost->heartbeat_s;
}

static const struct column columns[] = {{"join", "join", join, true},
                                        {"checkpoint", "checkpoint", checkpoint, true},
                                        {"next_checkpoint", "next checkpoint", next, false},
                                        {"heartbeat", "heartbeat", heartbeat, false}};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static double per_agent_us(const struct size *size, size_t column)
{
    return columns[column].value(&size->best) / size->agents * 1e6;
}

static void tell_sizes(const struct scale *scale, struct report *report)
{
    for (uint32_t i = 0; i < scale->size_count; i++) {
        const struct size *size = &scale->sizes[i];
        for (size_t j = 0; j < COLUMNS; j++) {
            char key[64];
            char label[64];
            snprintf(key, sizeof(key), "%s_us_per_agent_%u", columns[j].key, size->agents);
            snprintf(label, sizeof(label), "%s, %u agents", columns[j].head, size->agents);
            report_add_one(report, key, label, "us", 3, per_agent_us(size, j));
            report_note(report, "an agent; %.2f ms in all", columns[j].value(&size->best) * 1e3);
        }
    }
}

/* A heartbeat costs the same however much is in the tables: true when it is within the target. */
static bool tell_full(const struct scale *scale, struct report *report)
{
    double us = scale->full.heartbeat_s / scale->sizes[0].agents * 1e6;
    report_add_one(report, "heartbeat_full_us", "heartbeat, tables with the others", "us", 3, us);
    report_note(report, "%u agents, %u checkpoints of other runs; target: 2",
                scale->sizes[0].agents, scale->others);
    return us <= HEARTBEAT_TARGET_US;
}

/* The largest beside the smallest; true when all that have
 * a target for these sizes are within it. */
static bool tell_growth(const struct scale *scale, struct report *report)
{
    const struct size *first = &scale->sizes[0];
    const struct size *last = &scale->sizes[scale->size_count - 1];
    bool good = true;
    for (size_t j = 0; j < COLUMNS; j++) {
        char key[64];
        char label[64];
        double growth = per_agent_us(last, j) / per_agent_us(first, j);
        bool has_target = columns[j].has_target && first->agents >= GROWTH_FROM;
        snprintf(key, sizeof(key), "%s_growth", columns[j].key);
        snprintf(label, sizeof(label), "%s: growth an agent", columns[j].head);
        report_add_one(report, key, label, "x", 3, growth);
        report_note(report, "%u agents / %u agents%s", last->agents, first->agents,
                    has_target ? "; target: 1.1" : "");
        good = good && (growth <= GROWTH_TARGET || !has_target);
    }
    return good;
}

static bool tell(const struct scale *scale, const struct config *config)
{
    char title[160];
    const struct size *last = &scale->sizes[scale->size_count - 1];
    snprintf(title, sizeof(title),
             "The coordinator's CPU time, %u ranks an agent, %u agents a domain, best of %u",
             scale->ranks_per_agent, scale->agents_per_domain, scale->repeat);
    struct report *report = report_make("scale", title);
    if (report == NULL) {
        return false;
    }
    report_set_integer(report, "ranks_per_agent", scale->ranks_per_agent);
    report_set_integer(report, "agents_per_domain", scale->agents_per_domain);
    report_set_integer(report, "events", last->best.events);
    report_set_integer(report, "memory_bytes", last->best.memory_bytes);
    tell_sizes(scale, report);
    bool linear = tell_growth(scale, report);
    bool flat = tell_full(scale, report);
    bool good = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                           config_text(config, KEY_CSV)});
    report_free(&report);
    if (config_flag(config, KEY_CHECK) && !linear) {
        complain("scale: MISSED: a join or a checkpoint grows by more than 1.1 an agent");
        good = false;
    }
    if (config_flag(config, KEY_CHECK) && !flat) {
        complain("scale: MISSED: a heartbeat costs more than %.0f us", HEARTBEAT_TARGET_US);
        good = false;
    }
    return good;
}

static enum bench_exit run(int argc, char **argv)
{
    struct config *config;
    enum bench_exit code;
    char reason[CKPT_REASON_MAX + 1] = "";
    struct scale scale = {.size_count = 0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--real") == 0) {
            return case_scale_real(argc, argv);
        }
    }
    if (!case_options(&program, argc, argv, &config, &code)) {
        return code;
    }
    busy_begin();
    uint32_t to = (uint32_t)config_number(config, KEY_TO);
    uint32_t agents = (uint32_t)config_number(config, KEY_FROM);
    scale.ranks_per_agent = (uint32_t)config_number(config, KEY_RANKS);
    scale.agents_per_domain = (uint32_t)config_number(config, KEY_PER_DOMAIN);
    scale.others = (uint32_t)config_number(config, KEY_OTHERS);
    scale.repeat = (uint32_t)config_number(config, KEY_REPEAT);
    for (; agents < to && scale.size_count < SIZES_MAX - 1; agents *= 2) {
        scale.sizes[scale.size_count++].agents = agents;
    }
    scale.sizes[scale.size_count++].agents = to;
    code = BENCH_FAILED;
    if ((uint64_t)to * scale.ranks_per_agent > CKPT_WORLD_MAX) {
        complain("scale: %u agents with %u ranks are more than a world has", to,
                 scale.ranks_per_agent);
        code = BENCH_USAGE;
    } else if (scale.sizes[0].agents <= scale.agents_per_domain) {
        complain("scale: %u agents of %u a domain are one domain: two copies need two",
                 scale.sizes[0].agents, scale.agents_per_domain);
        code = BENCH_USAGE;
    } else if (take_turns(&scale, reason) != CKPT_OK) {
        complain("scale: %s", reason);
    } else if (tell(&scale, config)) {
        code = BENCH_OK;
    }
    config_delete(&config);
    return code;
}

const struct bench_case case_scale = {
    .name = "scale",
    .summary = "the coordinator's CPU time with thousands of simulated agents",
    .program = &program,
    .run = run};
