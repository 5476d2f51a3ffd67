/* SPDX-License-Identifier: Apache-2.0 */
/* A program with a key of each type, for the tests and the fuzz target. */
#ifndef CKPT_TESTS_CONFIG_SAMPLE_H
#define CKPT_TESTS_CONFIG_SAMPLE_H

#include "config/config.h"

enum sample_key {
    SAMPLE_NODE,
    SAMPLE_STATE,
    SAMPLE_NICE,
    SAMPLE_BYTES,
    SAMPLE_LINGER,
    SAMPLE_HUGE,
    SAMPLE_LEVEL,
    SAMPLE_PEERS,
    SAMPLE_JSON,
    SAMPLE_KEYS,
};

static const char *const sample_levels[] = {"error", "warn", "info", "debug", NULL};

static const struct config_key sample_keys[SAMPLE_KEYS] = {
    [SAMPLE_NODE] = {.section = "agent",
                     .name = "node",
                     .letter = 'n',
                     .type = CONFIG_STRING,
                     .required = true,
                     .placeholder = "NAME",
                     .help = "name of this node"},
    [SAMPLE_STATE] = {.section = "agent",
                      .name = "state",
                      .type = CONFIG_PATH,
                      .fallback = "/var/lib/ckptd",
                      .help = "folder of what must outlive the agent"},
    [SAMPLE_NICE] = {.section = "agent",
                     .name = "nice",
                     .type = CONFIG_INTEGER,
                     .fallback = "10",
                     .min = -20,
                     .max = 19,
                     .help = "priority of the digest threads"},
    [SAMPLE_BYTES] = {.section = "arena",
                      .name = "segment_bytes",
                      .type = CONFIG_BYTES,
                      .fallback = "256MiB",
                      .min = 2 << 20,
                      .max = 1 << 30,
                      .help = "size of a segment"},
    [SAMPLE_LINGER] = {.section = "arena",
                       .name = "linger",
                       .type = CONFIG_DURATION,
                       .fallback = "30min",
                       .help = "how long the newest checkpoint of a run stays after its job ended, "
                               "unless the run says something else"},
    [SAMPLE_HUGE] = {.section = "arena",
                     .name = "huge_pages",
                     .type = CONFIG_BOOL,
                     .fallback = "yes",
                     .help = "use huge pages where there are some"},
    [SAMPLE_LEVEL] = {.section = "log",
                      .name = "level",
                      .letter = 'l',
                      .type = CONFIG_ENUM,
                      .fallback = "info",
                      .choices = sample_levels,
                      .help = "how much is logged"},
    [SAMPLE_PEERS] = {.section = "agent",
                      .name = "peers",
                      .type = CONFIG_LIST,
                      .fallback = "",
                      .help = "addresses of coordinators"},
    [SAMPLE_JSON] = {.name = "json",
                     .flag = "json",
                     .letter = 'j',
                     .type = CONFIG_BOOL,
                     .fallback = "no",
                     .help = "print JSON"},
};

static const struct config_program sample_program = {
    .name = "sampled",
    .version = "1.2.3",
    .summary =
        "Keeps samples of everything that is worth a sample, and says so in a paragraph that "
        "is longer than one line of a terminal.",
    .operands = "VERB [ARGUMENT...]",
    .default_file = "/nonexistent/sampled.conf",
    .keys = sample_keys,
    .key_count = SAMPLE_KEYS,
    .examples = "  sampled --agent-node=n1\n",
    .exit_codes = "  0  done\n  2  wrong use\n",
};

#endif
