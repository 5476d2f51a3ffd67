/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a case: a table for people, JSON and CSV for programs, from one list.
 *
 * JSON: every key is a member of the top object: the median, a count or a text; null where it could
 * not be measured, and then "missing" has the reason. "spread" has the least, the greatest and all
 * samples in the order of measuring. "points" has an object for each point of a sweep, with a
 * member for each column. "environment" says where, "case" which.
 *
 * CSV: with points a line for each, columns as they are called in JSON; without, a line for each
 * key. Where is in comment lines before it, which begin with #. */
#ifndef CKPTBENCH_REPORT_H
#define CKPTBENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <ckpt/status.h>

#include "report/samples.h"

#define REPORT_COLUMNS_MAX 32
#define REPORT_NOTES_MAX 32

struct report;

/* NULL: no memory. title is a line for the head of the table. */
struct report *report_make(const char *case_name, const char *title);
void report_free(struct report **report);

/* What was asked for, in the JSON alone. report_set takes the value over. */
void report_set(struct report *report, const char *key, json_t *value);
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

/* A line of words below the title; "notes" in JSON. At most REPORT_NOTES_MAX. */
void report_say(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What each point of a sweep has. */
struct report_column {
    char key[48];
    char head[24]; /* over the column; "": in JSON and CSV alone */
    int digits;    /* after the point; 0: an integer */
    bool is_bytes; /* shown as 64KiB */
};

/* At most REPORT_COLUMNS_MAX; copied. label_head stands over the points' labels; NULL: they have
 * none. */
void report_columns(struct report *report, const char *label_head,
                    const struct report_column *columns, size_t count);

/* A point: a value a column, NAN where it was not measured. */
void report_point(struct report *report, const char *label, const double *values);

/* Samples of the last point, for the JSON. */
void report_point_samples(struct report *report, const char *key, const struct samples *samples);

/* The median of a row; false when it is missing. */
bool report_value(const struct report *report, const char *key, double *value_out);

/* Where a report goes beside the table on standard output; NULL: nowhere; "-": standard output,
 * and the table gives way. */
struct report_files {
    const char *json;
    const char *csv;
};

/* Prints the table and writes the files; false: that failed, and standard error says why. */
bool report_give(const struct report *report, const struct report_files *files);

#endif
