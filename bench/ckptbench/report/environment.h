/* SPDX-License-Identifier: Apache-2.0 */
/* Where something was measured: a number without it says little. */
#ifndef CKPTBENCH_ENVIRONMENT_H
#define CKPTBENCH_ENVIRONMENT_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "report/busy.h"

struct environment {
    char cpu[128]; /* "" where it is not known, as in all texts here */
    char kernel[160];
    char machine[80]; /* "x86_64" */
    char commit[64];  /* of the source this was built from */
    char ucx[32];     /* the version that this was built with */
    char build[32];   /* the kind of build: speed of a debug build says nothing */
    long cores;
    uint64_t memory_bytes;
    struct busy busy;
    char when[32];
    char nics[256]; /* "eth0 10000Mb/s, mlx5_0 4X HDR": what could have moved the bytes */
};

void environment_read(struct environment *environment_out);

/* A few lines. */
void environment_print(const struct environment *environment, FILE *out);

/* The same, each line after prefix. */
void environment_print_lines(const struct environment *environment, const char *prefix, FILE *out);

/* A new object; NULL: no memory. */
json_t *environment_json(const struct environment *environment);

#endif
