/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "belongings.h"
#include "case.h"
#include "environment.h"
#include "progress.h"

#define ROWS_MAX 64
#define TEXT_MAX 160

struct row {
    char key[64];
    char label[TEXT_MAX];
    char unit[16];
    char note[TEXT_MAX];
    char reason[TEXT_MAX]; /* "" when it is known */
    int digits;
    struct samples samples;
};

struct report {
    char case_name[32];
    char title[TEXT_MAX];
    struct environment environment;
    json_t *settings;
    size_t row_count;
    struct row rows[ROWS_MAX];
};

struct report *report_make(const char *case_name, const char *title)
{
    struct report *report = calloc(1, sizeof(*report));
    if (report == NULL) {
        return NULL;
    }
    report->settings = json_object();
    if (report->settings == NULL) {
        free(report);
        return NULL;
    }
    snprintf(report->case_name, sizeof(report->case_name), "%s", case_name);
    snprintf(report->title, sizeof(report->title), "%s", title);
    environment_read(&report->environment);
    return report;
}

void report_free(struct report **report)
{
    if (*report != NULL) {
        json_decref((*report)->settings);
        free(*report);
        *report = NULL;
    }
}

void report_set_integer(struct report *report, const char *key, uint64_t value)
{
    json_object_set_new(report->settings, key, json_integer((json_int_t)value));
}

void report_set_text(struct report *report, const char *key, const char *text)
{
    json_object_set_new(report->settings, key, json_string(text));
}

/* The table has more room than any case has rows; a row beyond it goes over the last. */
static struct row *row_add(struct report *report, const char *key, const char *label)
{
    size_t at = report->row_count < ROWS_MAX ? report->row_count++ : ROWS_MAX - 1;
    struct row *row = &report->rows[at];
    memset(row, 0, sizeof(*row));
    snprintf(row->key, sizeof(row->key), "%s", key);
    snprintf(row->label, sizeof(row->label), "%s", label);
    return row;
}

void report_add(struct report *report, const char *key, const char *label, const char *unit,
                int digits, const struct samples *samples)
{
    struct row *row = row_add(report, key, label);
    row->samples = *samples;
    row->digits = digits;
    snprintf(row->unit, sizeof(row->unit), "%s", unit);
    if (samples->count == 0) {
        snprintf(row->reason, sizeof(row->reason), "not measured");
    }
}

void report_add_one(struct report *report, const char *key, const char *label, const char *unit,
                    int digits, double value)
{
    struct row *row = row_add(report, key, label);
    samples_add(&row->samples, value);
    row->digits = digits;
    snprintf(row->unit, sizeof(row->unit), "%s", unit);
}

void report_missing(struct report *report, const char *key, const char *label, const char *reason,
                    ...)
{
    struct row *row = row_add(report, key, label);
    va_list arguments;
    va_start(arguments, reason);
    vsnprintf(row->reason, sizeof(row->reason), reason, arguments);
    va_end(arguments);
}

void report_note(struct report *report, const char *format, ...)
{
    if (report->row_count > 0) {
        struct row *row = &report->rows[report->row_count - 1];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(row->note, sizeof(row->note), format, arguments);
        va_end(arguments);
    }
}

bool report_value(const struct report *report, const char *key, double *value_out)
{
    for (size_t i = 0; i < report->row_count; i++) {
        const struct row *row = &report->rows[i];
        if (strcmp(row->key, key) == 0 && row->reason[0] == '\0') {
            *value_out = samples_median(&row->samples);
            return true;
        }
    }
    return false;
}

static void print_row(const struct row *row, int width, FILE *out)
{
    fprintf(out, "  %-*s", width, row->label);
    if (row->reason[0] != '\0') {
        fprintf(out, "  %10s  %s\n", "-", row->reason);
        return;
    }
    const struct samples *samples = &row->samples;
    fprintf(out, "  %10.*f %-5s", row->digits, samples_median(samples), row->unit);
    if (samples->count > 1) {
        fprintf(out, " %10.*f %10.*f", row->digits, samples_min(samples), row->digits,
                samples_max(samples));
    } else if (row->note[0] != '\0') {
        fprintf(out, " %21s", "");
    }
    fprintf(out, "%s%s\n", row->note[0] != '\0' ? "  " : "", row->note);
}

void report_print(const struct report *report, FILE *out)
{
    int width = 0;
    environment_print(&report->environment, out);
    for (size_t i = 0; i < report->row_count; i++) {
        int length = (int)strlen(report->rows[i].label);
        width = length > width ? length : width;
    }
    fprintf(out, "\n%s\n\n  %-*s  %10s %-5s %10s %10s\n", report->title, width, "", "median", "",
            "min", "max");
    for (size_t i = 0; i < report->row_count; i++) {
        print_row(&report->rows[i], width, out);
    }
}

static json_t *row_spread(const struct row *row)
{
    json_t *all = json_array();
    for (size_t i = 0; i < row->samples.count; i++) {
        json_array_append_new(all, json_real(row->samples.values[i]));
    }
    return json_pack("{sf sf so}", "min", samples_min(&row->samples), "max",
                     samples_max(&row->samples), "samples", all);
}

static json_t *to_json(const struct report *report)
{
    json_t *top = json_pack("{ss so}", "case", report->case_name, "environment",
                            environment_json(&report->environment));
    json_t *spread = json_object();
    json_t *missing = json_object();
    json_object_update(top, report->settings);
    for (size_t i = 0; i < report->row_count; i++) {
        const struct row *row = &report->rows[i];
        if (row->reason[0] != '\0') {
            json_object_set_new(top, row->key, json_null());
            json_object_set_new(missing, row->key, json_string(row->reason));
            continue;
        }
        json_object_set_new(top, row->key, json_real(samples_median(&row->samples)));
        if (row->samples.count > 1) {
            json_object_set_new(spread, row->key, row_spread(row));
        }
    }
    json_object_set_new(top, "spread", spread);
    json_object_set_new(top, "missing", missing);
    return top;
}

enum ckpt_status report_write_json(const struct report *report, const char *path)
{
    json_t *top = to_json(report);
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(path, "we");
    enum ckpt_status status = CKPT_ERR_SYSTEM;
    if (top != NULL && file != NULL &&
        json_dumpf(top, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 &&
        fputc('\n', file) != EOF && fflush(file) == 0) {
        status = CKPT_OK;
    } else {
        case_complain("cannot write %s: %s", path, strerror(errno));
    }
    if (file != NULL && !to_stdout) {
        fclose(file);
    }
    json_decref(top);
    return status;
}

bool report_give(const struct report *report, const char *path)
{
    belongings_stand_by();
    progress_clear();
    /* The table goes out of the way of a document on standard output. */
    report_print(report, path != NULL && strcmp(path, "-") == 0 ? stderr : stdout);
    return path == NULL || report_write_json(report, path) == CKPT_OK;
}
