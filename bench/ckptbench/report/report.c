/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting. */
#include "report/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "process/belongings.h"
#include "process/progress.h"
#include "report/report_files.h"
#include "report/report_inside.h"
#include "report/report_table.h"

static void say_busy(struct report *report)
{
    const struct environment *e = &report->environment;
    if (busy_is_much(e->busy.before) || busy_is_much(e->busy.during)) {
        report_say(report,
                   "WARNING: the machine was busy. Other work kept %.1f of %ld cores meanwhile, "
                   "%.1f just before (load %.1f):",
                   e->busy.during, e->cores, e->busy.before, e->busy.load);
        report_say(report, "speeds are too low and times too long; ratios hold better.");
    }
}

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
    say_busy(report);
    return report;
}

void report_free(struct report **report)
{
    struct report *r = *report;
    if (r != NULL) {
        for (size_t i = 0; i < r->point_count; i++) {
            json_decref(r->points[i].samples);
        }
        json_decref(r->settings);
        free(r);
        *report = NULL;
    }
}

void report_set(struct report *report, const char *key, json_t *value)
{
    json_object_set_new(report->settings, key, value);
}

void report_set_integer(struct report *report, const char *key, uint64_t value)
{
    report_set(report, key, json_integer((json_int_t)value));
}

void report_set_text(struct report *report, const char *key, const char *text)
{
    report_set(report, key, json_string(text));
}

/* The table has more room than any case has rows; a row beyond it goes over the last. */
static struct report_row *row_add(struct report *report, const char *key, const char *label)
{
    size_t at = report->row_count < REPORT_ROWS_MAX ? report->row_count++ : REPORT_ROWS_MAX - 1;
    struct report_row *row = &report->rows[at];
    memset(row, 0, sizeof(*row));
    snprintf(row->key, sizeof(row->key), "%s", key);
    snprintf(row->label, sizeof(row->label), "%s", label);
    return row;
}

void report_add(struct report *report, const char *key, const char *label, const char *unit,
                int digits, const struct samples *samples)
{
    struct report_row *row = row_add(report, key, label);
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
    struct report_row *row = row_add(report, key, label);
    samples_add(&row->samples, value);
    row->digits = digits;
    snprintf(row->unit, sizeof(row->unit), "%s", unit);
}

void report_missing(struct report *report, const char *key, const char *label, const char *reason,
                    ...)
{
    struct report_row *row = row_add(report, key, label);
    va_list arguments;
    va_start(arguments, reason);
    vsnprintf(row->reason, sizeof(row->reason), reason, arguments);
    va_end(arguments);
}

void report_note(struct report *report, const char *format, ...)
{
    if (report->row_count > 0) {
        struct report_row *row = &report->rows[report->row_count - 1];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(row->note, sizeof(row->note), format, arguments);
        va_end(arguments);
    }
}

void report_say(struct report *report, const char *format, ...)
{
    va_list arguments;
    if (report->note_count < REPORT_NOTES_MAX) {
        char *note = report->notes[report->note_count++];
        va_start(arguments, format);
        vsnprintf(note, sizeof(report->notes[0]), format, arguments);
        va_end(arguments);
    }
}

void report_columns(struct report *report, const char *label_head,
                    const struct report_column *columns, size_t count)
{
    snprintf(report->label_head, sizeof(report->label_head), "%s",
             label_head != NULL ? label_head : "");
    report->column_count = count < REPORT_COLUMNS_MAX ? count : REPORT_COLUMNS_MAX;
    memcpy(report->columns, columns, report->column_count * sizeof(columns[0]));
}

/* As with rows. */
void report_point(struct report *report, const char *label, const double *values)
{
    size_t at =
        report->point_count < REPORT_POINTS_MAX ? report->point_count++ : REPORT_POINTS_MAX - 1;
    struct report_point *point = &report->points[at];
    snprintf(point->label, sizeof(point->label), "%s", label != NULL ? label : "");
    memcpy(point->values, values, report->column_count * sizeof(values[0]));
    json_decref(point->samples);
    point->samples = json_object();
}

void report_point_samples(struct report *report, const char *key, const struct samples *samples)
{
    if (report->point_count > 0) {
        json_t *all = json_array();
        for (size_t i = 0; i < samples->count; i++) {
            json_array_append_new(all, json_real(samples->values[i]));
        }
        json_object_set_new(report->points[report->point_count - 1].samples, key, all);
    }
}

bool report_value(const struct report *report, const char *key, double *value_out)
{
    for (size_t i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];
        if (strcmp(row->key, key) == 0 && row->reason[0] == '\0') {
            *value_out = samples_median(&row->samples);
            return true;
        }
    }
    return false;
}

static bool is_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

bool report_give(const struct report *report, const struct report_files *files)
{
    belongings_stand_by();
    progress_clear();
    /* The table goes out of the way of a document on standard output. */
    report_print(report, is_stdout(files->json) || is_stdout(files->csv) ? stderr : stdout);
    bool good = files->json == NULL || report_write_json(report, files->json);
    return (files->csv == NULL || report_write_csv(report, files->csv)) && good;
}
