/* SPDX-License-Identifier: Apache-2.0 */
/* ckptbench rails: what each rail carries alone, what all carry together, and what those carry that
 * the topology chooses for each memory. */
#include <math.h>
#include <sched.h>
#include <string.h>

#include "base/reason.h"
#include "case.h"
#include "process/clock.h"
#include "options.h"
#include "process/progress.h"
#include "raw/rail_list.h"
#include "raw/raw.h"
#include "report/report.h"

#define LEGS_MAX (RAIL_LIST_MAX + 1 + CKPT_NUMA_NODES_MAX)

enum key {
    KEY_TRANSPORT,
    KEY_DEVICES,
    KEY_MAP,
    KEY_CONNECT,
    KEY_BYTES,
    KEY_SEGMENT,
    KEY_REPEAT,
    KEY_JSON,
    KEY_CSV,
    KEY_COUNT
};

static const struct config_key keys[KEY_COUNT] = {
    [KEY_TRANSPORT] = {.name = "transport",
                       .flag = "transport",
                       .letter = 't',
                       .type = CONFIG_STRING,
                       .fallback = "verbs",
                       .placeholder = "SPEC",
                       .help = "whose rails: verbs, ucx, ucx:tcp"},
    [KEY_DEVICES] = OPTION_DEVICES("the rails; verbs without them: every port that is up"),
    [KEY_MAP] = {.name = "map",
                 .flag = "map",
                 .type = CONFIG_STRING,
                 .placeholder = "MAP",
                 .help = "instead of the choice for some memory: \"numa0=mlx5_0+mlx5_1\""},
    [KEY_CONNECT] = {.name = "connect",
                     .flag = "connect",
                     .type = CONFIG_STRING,
                     .placeholder = "HOST[:PORT]",
                     .help = "read from the \"ckptbench serve\" there"},
    [KEY_BYTES] = OPTION_BYTES("256MiB", 1 << 20, "how much is read each time"),
    [KEY_SEGMENT] = OPTION_SEGMENT("size of one registered region"),
    [KEY_REPEAT] = OPTION_REPEAT("5", "turns over all; each read follows one that warms up"),
    [KEY_JSON] = OPTION_JSON,
    [KEY_CSV] = OPTION_CSV,
};

static const struct config_program program = {
    .name = "ckptbench rails",
    .version = CKPT_VERSION,
    .summary = "Measures reads over each rail alone, over all together, and over those that the "
               "topology chooses for each NUMA node, with memory and threads there. A choice that "
               "is slower than another is worth an override.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .examples = "  ckptbench rails\n"
                "  ckptbench rails --connect=node7 --map=\"numa0=mlx5_0+mlx5_1\"\n"
                "  ckptbench rails --transport=ucx:tcp --devices=lo,eth0\n",
    .exit_codes = "  0  measured\n"
                  "  1  something could not be measured, or there are no rails\n"
                  "  2  the command line is wrong, or names what is not there\n",
};

/* One set of rails. */
struct leg {
    char label[64];
    uint32_t rails;
    const cpu_set_t *cpus; /* near the memory; NULL: wherever */
    struct rail_choice choice;
    struct samples gbps;
    struct samples cpu;
};

struct rails {
    struct topology *topology;
    struct topology_rail_map *map;
    struct rail_list list;
    struct raw_options raw; /* of every leg, but for the transport */
    uint32_t repeat;
    size_t leg_count;
    struct leg legs[LEGS_MAX];
};

static struct leg *add_leg(struct rails *rails, const char *label, uint32_t count)
{
    struct leg *leg = &rails->legs[rails->leg_count++];
    size_t length = strnlen(label, sizeof(leg->label) - 1);
    memcpy(leg->label, label, length);
    leg->label[length] = '\0';
    leg->rails = count;
    return leg;
}

/* The ports that were chosen for a memory, as indices of the list; those that are not measured are
 * left out. */
static uint32_t chosen_indices(const struct rails *rails, const struct topology_rails *chosen,
                               uint32_t indices_out[RAIL_LIST_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < chosen->port_count; i++) {
        const struct topology_port *port = &rails->topology->ports[chosen->ports[i]];
        for (uint32_t j = 0; j < rails->list.count && count < RAIL_LIST_MAX; j++) {
            if (strcmp(rails->list.names[j], port->name) == 0 ||
                strcmp(rails->list.names[j], port->device) == 0) {
                indices_out[count++] = j;
            }
        }
    }
    return count;
}

static void lay_legs(struct rails *rails)
{
    for (uint32_t i = 0; i < rails->list.count; i++) {
        char label[64];
        snprintf(label, sizeof(label), "%.60s", rails->list.names[i]);
        rail_list_choose(&rails->list, &i, 1, &add_leg(rails, label, 1)->choice);
    }
    if (rails->list.count > 1) {
        rail_list_choose_all(&rails->list, &add_leg(rails, "all", rails->list.count)->choice);
    }
    for (uint32_t i = 0; i < rails->map->numa_count; i++) {
        uint32_t indices[RAIL_LIST_MAX];
        char label[64];
        const struct topology_numa *numa = &rails->topology->numas[i];
        uint32_t count = chosen_indices(rails, &rails->map->numas[i], indices);
        if (count == 0) {
            continue;
        }
        snprintf(label, sizeof(label), "chosen for %.40s", numa->name);
        struct leg *leg = add_leg(rails, label, count);
        leg->cpus = CPU_COUNT(&numa->cpus) > 0 ? &numa->cpus : NULL;
        rail_list_choose(&rails->list, indices, count, &leg->choice);
    }
}

/* Verbs: the other end opens all rails, and the transport finds the one that belongs to each of
 * ours. UCX: both ends have the same devices, or it does not find a way. */
static enum ckpt_status open_session(const struct rails *rails, const struct leg *leg,
                                     struct raw **raw_out, char *reason)
{
    struct rail_choice all;
    struct raw_options options = rails->raw;
    rail_list_choose_all(&rails->list, &all);
    options.transport = leg->choice.transport;
    options.devices = leg->choice.devices[0] != '\0' ? leg->choice.devices : NULL;
    if (options.devices == NULL) {
        options.peer_transport = all.transport;
    }
    return raw_open(&options, raw_out, reason);
}

/* A session of its own each time, so that legs can be in turn also where the other end serves one
 * client at a time. */
static enum ckpt_status visit(const struct rails *rails, struct leg *leg, char *reason)
{
    const struct raw_plan as_liked = {.bytes = 0};
    double seconds, cpu_s;
    struct raw *raw = NULL;
    cpu_set_t before;
    bool bound = leg->cpus != NULL && sched_getaffinity(0, sizeof(before), &before) == 0 &&
                 sched_setaffinity(0, sizeof(*leg->cpus), leg->cpus) == 0;
    enum ckpt_status status = open_session(rails, leg, &raw, reason);
    if (status == CKPT_OK) {
        status = raw_read(raw, &as_liked, &seconds, &cpu_s, reason);
    }
    if (status == CKPT_OK) {
        status = raw_read(raw, &as_liked, &seconds, &cpu_s, reason);
    }
    if (status == CKPT_OK && raw_verify(raw) != CKPT_OK) {
        reason_set(reason, "other bytes were read than the source has");
        status = CKPT_ERR_CORRUPT;
    }
    raw_close(&raw);
    if (bound) {
        sched_setaffinity(0, sizeof(before), &before);
    }
    if (status == CKPT_OK) {
        samples_add(&leg->gbps, gbps(rails->raw.bytes, seconds));
        samples_add(&leg->cpu, cpu_s / (double)rails->raw.bytes * 1e9);
    }
    return status;
}

static enum ckpt_status measure(void *work, char *reason)
{
    struct rails *rails = work;
    lay_legs(rails);
    enum ckpt_status status = CKPT_OK;
    char why[CKPT_REASON_MAX + 1] = "";
    for (uint32_t turn = 0; turn < rails->repeat && status == CKPT_OK; turn++) {
        for (size_t i = 0; i < rails->leg_count && status == CKPT_OK; i++) {
            progress_part(turn * rails->leg_count + i, rails->repeat * rails->leg_count,
                          "rails: turn %u of %u, %s", turn + 1, rails->repeat,
                          rails->legs[i].label);
            status = visit(rails, &rails->legs[i], why);
            if (status != CKPT_OK) {
                reason_set(reason, "%.60s: %.180s", rails->legs[i].label, why);
            }
        }
    }
    return status;
}

static void tell_choice(const struct rails *rails, const struct topology_rails *chosen,
                        struct report *report)
{
    char ports[192] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < chosen->port_count && used < sizeof(ports); i++) {
        used += (size_t)snprintf(ports + used, sizeof(ports) - used, " %s",
                                 rails->topology->ports[chosen->ports[i]].name);
    }
    report_say(report, "%s:%s%s %s", topology_end_name(rails->topology, chosen->memory), ports,
               chosen->port_count > 0 ? "," : "", chosen->why);
}

static void tell_legs(const struct rails *rails, struct report *report)
{
    static const struct report_column columns[] = {
        {.key = "rails", .head = "rails"},
        {.key = "gbps", .head = "GB/s", .digits = 3},
        {.key = "gbps_min", .head = "min", .digits = 3},
        {.key = "gbps_max", .head = "max", .digits = 3},
        {.key = "gbit_per_s", .head = "Gb/s", .digits = 2},
        {.key = "cpu_s_per_gb", .head = "CPU s/GB", .digits = 3},
        {.key = "of_alone", .head = "of one alone", .digits = 2},
    };
    double alone = 0;
    report_columns(report, "which", columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < rails->list.count; i++) {
        alone += samples_median(&rails->legs[i].gbps) / rails->list.count;
    }
    for (size_t i = 0; i < rails->leg_count; i++) {
        const struct leg *leg = &rails->legs[i];
        double speed = samples_median(&leg->gbps);
        const double values[] = {leg->rails,
                                 speed,
                                 samples_min(&leg->gbps),
                                 samples_max(&leg->gbps),
                                 speed * 8,
                                 samples_median(&leg->cpu),
                                 alone > 0 ? speed / alone : (double)NAN};
        report_point(report, leg->label, values);
        report_point_samples(report, "gbps", &leg->gbps);
    }
}

static bool tell(void *work, const struct config *config)
{
    const struct rails *rails = work;
    struct report *report = report_make("rails", "Reads over rails alone, together, and as chosen");
    if (report == NULL) {
        return false;
    }
    const char *connect = config_text(config, KEY_CONNECT);
    report_set_text(report, "transport", config_text(config, KEY_TRANSPORT));
    report_set_text(report, "connect", connect != NULL ? connect : "");
    report_set_integer(report, "bytes", rails->raw.bytes);
    report_set_integer(report, "repeat", rails->repeat);
    for (uint32_t i = 0; i < rails->map->gpu_count; i++) {
        tell_choice(rails, &rails->map->gpus[i], report);
    }
    for (uint32_t i = 0; i < rails->map->numa_count; i++) {
        tell_choice(rails, &rails->map->numas[i], report);
    }
    tell_legs(rails, report);
    bool given = report_give(report, &(struct report_files){config_text(config, KEY_JSON),
                                                            config_text(config, KEY_CSV)});
    report_free(&report);
    return given;
}

static enum ckpt_status prepare(const struct config *config, void *work, char *reason)
{
    struct rails *rails = work;
    const char *spec = config_text(config, KEY_TRANSPORT);
    size_t size = CKPT_REASON_MAX + 1;
    enum ckpt_status status = topology_read_machine(&rails->topology, reason, size);
    if (status == CKPT_OK) {
        status = topology_rails_choose(rails->topology, config_text(config, KEY_MAP), &rails->map,
                                       reason, size);
    }
    if (status == CKPT_OK) {
        status = rail_list_make(config, KEY_DEVICES, spec, rails->topology, &rails->list, reason);
    }
    if (status == CKPT_OK && rails->list.count == 0) {
        snprintf(reason, size, "no rails: %s; name them (--transport=ucx:tcp --devices=eth0,eth1)",
                 strncmp(spec, "verbs", strlen("verbs")) == 0
                     ? "this machine has no RDMA port that is up (ckptctl topology)"
                     : "of this transport's devices none are named");
        status = CKPT_ERR_NOT_FOUND;
    }
    rails->repeat = (uint32_t)config_number(config, KEY_REPEAT);
    rails->raw = (struct raw_options){
        .connect = config_text(config, KEY_CONNECT),
        .bytes = (uint64_t)config_number(config, KEY_BYTES),
        .segment_bytes = (uint64_t)config_number(config, KEY_SEGMENT),
    };
    return status;
}

static void close_rails(void *work)
{
    struct rails *rails = work;
    topology_rail_map_delete(&rails->map);
    topology_delete(&rails->topology);
}

const struct bench_case case_rails = {.name = "rails",
                                      .summary =
                                          "each rail alone, all together, and the chosen map",
                                      .program = &program,
                                      .bytes = sizeof(struct rails),
                                      .prepare = prepare,
                                      .measure = measure,
                                      .tell = tell,
                                      .close = close_rails};
