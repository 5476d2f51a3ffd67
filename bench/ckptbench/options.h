/* SPDX-License-Identifier: Apache-2.0 */
/* Flags that several cases have, so that they are called, bounded and explained alike. Each is an
 * entry of a case's table of keys; what differs is an argument. */
#ifndef CKPTBENCH_OPTIONS_H
#define CKPTBENCH_OPTIONS_H

#include "base/limits.h"
#include "config/config.h"

#define OPTION_AMOUNT_MAX (INT64_C(1) << 40)
#define OPTION_GPU_MAX 1023

#define OPTION_BYTES(default_, least, what)                                                        \
    {                                                                                              \
        .name = "bytes", .flag = "bytes", .letter = 'b', .type = CONFIG_BYTES,                     \
        .fallback = (default_), .min = (least), .max = OPTION_AMOUNT_MAX, .help = (what)           \
    }

#define OPTION_TRANSPORT(what)                                                                     \
    {                                                                                              \
        .name = "transport", .flag = "transport", .letter = 't', .type = CONFIG_STRING,            \
        .fallback = "ucx:tcp", .placeholder = "SPEC", .help = (what)                               \
    }

#define OPTION_DEVICES(what)                                                                       \
    {                                                                                              \
        .name = "devices", .flag = "devices", .type = CONFIG_LIST, .placeholder = "NAME,...",      \
        .help = (what)                                                                             \
    }

#define OPTION_SEGMENT(what)                                                                       \
    {                                                                                              \
        .name = "segment_bytes", .flag = "segment-bytes", .type = CONFIG_BYTES,                    \
        .fallback = "64MiB", .min = (int64_t)CKPT_SEGMENT_BYTES_MIN, .max = OPTION_AMOUNT_MAX,     \
        .help = (what)                                                                             \
    }

#define OPTION_REPEAT(default_, what)                                                              \
    {                                                                                              \
        .name = "repeat", .flag = "repeat", .letter = 'r', .type = CONFIG_INTEGER,                 \
        .fallback = (default_), .min = 1, .max = 1000, .help = (what)                              \
    }

#define OPTION_COPY_THREADS(most, what)                                                            \
    {                                                                                              \
        .name = "copy_threads", .flag = "copy-threads", .type = CONFIG_INTEGER, .fallback = "1",   \
        .min = 1, .max = (most), .help = (what)                                                    \
    }

#define OPTION_DIRECTORY(what)                                                                     \
    {                                                                                              \
        .name = "dir", .flag = "dir", .type = CONFIG_STRING, .fallback = "/dev/shm",               \
        .placeholder = "PATH", .help = (what)                                                      \
    }

#define OPTION_CHECK(what)                                                                         \
    {                                                                                              \
        .name = "check", .flag = "check", .type = CONFIG_BOOL, .fallback = "no", .help = (what)    \
    }

#define OPTION_JSON                                                                                \
    {                                                                                              \
        .name = "json", .flag = "json", .type = CONFIG_STRING, .placeholder = "FILE",              \
        .help = "also write the result as JSON; - is standard output"                              \
    }

#define OPTION_CSV                                                                                 \
    {                                                                                              \
        .name = "csv", .flag = "csv", .type = CONFIG_STRING, .placeholder = "FILE",                \
        .help = "also write the result as CSV; - is standard output"                               \
    }

#endif
