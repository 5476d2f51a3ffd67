/* SPDX-License-Identifier: Apache-2.0 */
/* What the doctor has to say: a line each, with what mends it. */
#ifndef CKPT_CKPTCTL_FINDINGS_H
#define CKPT_CKPTCTL_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "ckptctl/ctl.h"

enum finding_level {
    FINDING_OK,
    FINDING_UNKNOWN, /* it could not be looked at */
    FINDING_WARNING, /* it works, and worse than it could */
    FINDING_WRONG,   /* it stops somebody */
    FINDING_LEVELS
};

#define FINDINGS_MAX 160

struct finding {
    enum finding_level level;
    const char *check; /* a constant */
    char text[512];
    char fix[512]; /* a command, or a line of a configuration file; "" for none */
};

struct findings {
    size_t count;
    struct finding list[FINDINGS_MAX];
};

/* Says it; what there is no room for any more is left out, but for what is wrong, which takes the
 * last one's place. */
void findings_add(struct findings *findings, enum finding_level level, const char *check,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What mends the last one that was said. */
void findings_fix(struct findings *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

size_t findings_count(const struct findings *findings, enum finding_level level);

/* 1 where something is wrong, or when strict a warning. */
enum exit_code findings_code(const struct findings *findings, bool strict);

void findings_print(const struct findings *findings, const struct ctl *ctl);

/* {"findings": [...], "ok": 1, ...}: the caller's. */
json_t *findings_describe(const struct findings *findings);

#endif
