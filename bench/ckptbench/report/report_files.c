/* SPDX-License-Identifier: Apache-2.0 */
/* A report for programs: JSON and CSV. */
#include "report/report_files.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "process/complain.h"
#include "report/report_inside.h"

static json_t *row_spread(const struct report_row *row)
{
    json_t *all = json_array();
    for (size_t i = 0; i < row->samples.count; i++) {
        json_array_append_new(all, json_real(row->samples.values[i]));
    }
    return json_pack("{sf sf so}", "min", samples_min(&row->samples), "max",
                     samples_max(&row->samples), "samples", all);
}

static json_t *number(double value, int digits)
{
    if (!isfinite(value)) {
        return json_null();
    }
    return digits == 0 ? json_integer((json_int_t)llround(value)) : json_real(value);
}

static json_t *point_json(const struct report *report, const struct report_point *point)
{
    json_t *object = json_object();
    if (report->label_head[0] != '\0') {
        json_object_set_new(object, "label", json_string(point->label));
    }
    for (size_t i = 0; i < report->column_count; i++) {
        json_object_set_new(object, report->columns[i].key,
                            number(point->values[i], report->columns[i].digits));
    }
    json_object_set(object, "samples", point->samples);
    return object;
}

static void add_rows(const struct report *report, json_t *top)
{
    json_t *spread = json_object();
    json_t *missing = json_object();
    for (size_t i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];
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
}

static json_t *to_json(const struct report *report)
{
    json_t *top = json_pack("{ss ss so}", "case", report->case_name, "title", report->title,
                            "environment", environment_json(&report->environment));
    json_object_update(top, report->settings);
    if (report->note_count > 0) {
        json_t *notes = json_array();
        for (size_t i = 0; i < report->note_count; i++) {
            json_array_append_new(notes, json_string(report->notes[i]));
        }
        json_object_set_new(top, "notes", notes);
    }
    add_rows(report, top);
    if (report->point_count > 0) {
        json_t *points = json_array();
        for (size_t i = 0; i < report->point_count; i++) {
            json_array_append_new(points, point_json(report, &report->points[i]));
        }
        json_object_set_new(top, "points", points);
    }
    return top;
}

/* NULL: said why. */
static FILE *open_file(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (file == NULL) {
        complain("cannot write %s: %s", path, strerror(errno));
    }
    return file;
}

static bool close_file(FILE *file, const char *path, bool good)
{
    good = fflush(file) == 0 && !ferror(file) && good;
    if (!good) {
        complain("cannot write %s: %s", path, strerror(errno));
    }
    if (file != stdout) {
        fclose(file);
    }
    return good;
}

bool report_write_json(const struct report *report, const char *path)
{
    FILE *file = open_file(path);
    if (file == NULL) {
        return false;
    }
    json_t *top = to_json(report);
    bool good = top != NULL &&
                json_dumpf(top, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 &&
                fputc('\n', file) != EOF;
    json_decref(top);
    return close_file(file, path, good);
}

/* A text as a field: quoted, quotes doubled. */
static void put_text(const char *text, FILE *file)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', file);
        }
        fputc(*text, file);
    }
    fputc('"', file);
}

static void put_rows(const struct report *report, FILE *file)
{
    fputs("key,label,unit,median,min,max,samples\n", file);
    for (size_t i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];
        fprintf(file, "%s,", row->key);
        put_text(row->label + strspn(row->label, " "), file);
        fputc(',', file);
        put_text(row->unit, file);
        if (row->reason[0] == '\0') {
            fprintf(file, ",%.9g,%.9g,%.9g,%zu\n", samples_median(&row->samples),
                    samples_min(&row->samples), samples_max(&row->samples), row->samples.count);
        } else {
            fputs(",,,,0\n", file);
        }
    }
}

static void put_points(const struct report *report, FILE *file)
{
    bool labels = report->label_head[0] != '\0';
    fputs(labels ? "label" : "", file);
    for (size_t i = 0; i < report->column_count; i++) {
        fprintf(file, "%s%s", i > 0 || labels ? "," : "", report->columns[i].key);
    }
    fputc('\n', file);
    for (size_t i = 0; i < report->point_count; i++) {
        if (labels) {
            put_text(report->points[i].label, file);
        }
        for (size_t j = 0; j < report->column_count; j++) {
            double value = report->points[i].values[j];
            fputs(j > 0 || labels ? "," : "", file);
            if (isfinite(value)) {
                fprintf(file, "%.*f", report->columns[j].digits, value);
            }
        }
        fputc('\n', file);
    }
}

/* As comment lines. */
static void put_environment(const struct report *report, FILE *file)
{
    char *text = json_dumps(report->settings, JSON_COMPACT);
    fprintf(file, "# ckptbench %s: %s\n", report->case_name, report->title);
    environment_print_lines(&report->environment, "# ", file);
    fprintf(file, "# %s\n", text != NULL ? text : "");
    free(text);
}

bool report_write_csv(const struct report *report, const char *path)
{
    FILE *file = open_file(path);
    if (file == NULL) {
        return false;
    }
    put_environment(report, file);
    if (report->point_count > 0) {
        put_points(report, file);
    } else {
        put_rows(report, file);
    }
    return close_file(file, path, true);
}
