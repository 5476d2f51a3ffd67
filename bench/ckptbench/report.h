/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a case: a table for people, a JSON object for programs, from one list.
 *
 * JSON: every key is a member of the top object: the median, a count or a text; null where it could
 * not be measured, and then "missing" has the reason. "spread" has the least, the greatest and all
 * samples in the order of measuring. "environment" says where, "case" which. */
#ifndef CKPTBENCH_REPORT_H
#define CKPTBENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <ckpt/status.h>

#include "samples.h"

struct report;

/* NULL: no memory. title is a line for the head of the table. */
struct report *report_make(const char *case_name, const char *title);
void report_free(struct report **report);

/* What was asked for: in the JSON alone. */
void report_set_integer(struct report *report, const char *key, uint64_t value);
void report_set_text(struct report *report, const char *key, const char *text);

/* A row of the table. label says what it is, unit may be "". Keys and labels are copied. No
 * samples: as report_missing. digits: after the point. */
void report_add(struct report *report, const char *key, const char *label, const char *unit,
                int digits, const struct samples *samples);
void report_add_one(struct report *report, const char *key, const char *label, const char *unit,
                    int digits, double value);
void report_missing(struct report *report, const char *key, const char *label, const char *reason,
                    ...) __attribute__((format(printf, 4, 5)));

/* More words beside the last row: "1.6 x b3sum". */
void report_note(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The median of a row; false when it is missing. */
bool report_value(const struct report *report, const char *key, double *value_out);

void report_print(const struct report *report, FILE *out);

/* path: "-" is standard output. CKPT_ERR_SYSTEM, CKPT_ERR_MEMORY; says why on standard error. */
enum ckpt_status report_write_json(const struct report *report, const char *path);

/* Prints the table, and writes the JSON where path is not NULL; false: that failed. */
bool report_give(const struct report *report, const char *path);

#endif
