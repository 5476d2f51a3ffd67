/* SPDX-License-Identifier: Apache-2.0 */
/* A report for people. */
#include "report/report_table.h"

#include <math.h>
#include <string.h>

#include "report/report_inside.h"

#define CELL_MAX 32

static void print_row(const struct report_row *row, int width, FILE *out)
{
    fprintf(out, "  %-*s", width, row->label);
    if (row->reason[0] != '\0') {
        fprintf(out, "  %10s  %s\n", "-", row->reason);
        return;
    }
    const struct samples *samples = &row->samples;
    fprintf(out, "  %10.*f %-5s", row->digits, samples_median(samples), row->unit);
    bool in_bits = strcmp(row->unit, "GB/s") == 0;
    if (samples->count > 1) {
        fprintf(out, " %10.*f %10.*f", row->digits, samples_min(samples), row->digits,
                samples_max(samples));
    } else if (row->note[0] != '\0' || in_bits) {
        fprintf(out, " %21s", "");
    }
    if (in_bits) {
        fprintf(out, "  %8.1f Gb/s", samples_median(samples) * 8);
    }
    fprintf(out, "%s%s\n", row->note[0] != '\0' ? "  " : "", row->note);
}

static void print_rows(const struct report *report, FILE *out)
{
    int width = 0;
    for (size_t i = 0; i < report->row_count; i++) {
        int length = (int)strlen(report->rows[i].label);
        width = length > width ? length : width;
    }
    fprintf(out, "\n  %-*s  %10s %-5s %10s %10s\n", width, "", "median", "", "min", "max");
    for (size_t i = 0; i < report->row_count; i++) {
        print_row(&report->rows[i], width, out);
    }
}

void report_bytes_text(double bytes, char *text_out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text_out, size, "%.4g%s", bytes, units[unit]);
}

static void format_cell(const struct report_column *column, double value, char cell_out[CELL_MAX])
{
    if (isnan(value)) {
        snprintf(cell_out, CELL_MAX, "-");
    } else if (column->is_bytes) {
        report_bytes_text(value, cell_out, CELL_MAX);
    } else {
        snprintf(cell_out, CELL_MAX, "%.*f", column->digits, value);
    }
}

static int column_width(const struct report *report, size_t column)
{
    char cell[CELL_MAX];
    int width = (int)strlen(report->columns[column].head);
    for (size_t i = 0; i < report->point_count; i++) {
        format_cell(&report->columns[column], report->points[i].values[column], cell);
        int length = (int)strlen(cell);
        width = length > width ? length : width;
    }
    return width;
}

static int label_width(const struct report *report)
{
    int width = (int)strlen(report->label_head);
    for (size_t i = 0; i < report->point_count && report->label_head[0] != '\0'; i++) {
        int length = (int)strlen(report->points[i].label);
        width = length > width ? length : width;
    }
    return width;
}

static void print_points(const struct report *report, FILE *out)
{
    int widths[REPORT_COLUMNS_MAX];
    int label = label_width(report);
    fprintf(out, "\n  %-*s", label, report->label_head);
    for (size_t j = 0; j < report->column_count; j++) {
        widths[j] = column_width(report, j);
        if (report->columns[j].head[0] != '\0') {
            fprintf(out, "%s%*s", j == 0 && label == 0 ? "" : "  ", widths[j],
                    report->columns[j].head);
        }
    }
    fputc('\n', out);
    for (size_t i = 0; i < report->point_count; i++) {
        const struct report_point *point = &report->points[i];
        fprintf(out, "  %-*s", label, label > 0 ? point->label : "");
        for (size_t j = 0; j < report->column_count; j++) {
            char cell[CELL_MAX];
            format_cell(&report->columns[j], point->values[j], cell);
            if (report->columns[j].head[0] != '\0') {
                fprintf(out, "%s%*s", j == 0 && label == 0 ? "" : "  ", widths[j], cell);
            }
        }
        fputc('\n', out);
    }
}

void report_print(const struct report *report, FILE *out)
{
    environment_print(&report->environment, out);
    fprintf(out, "\n%s\n", report->title);
    for (size_t i = 0; i < report->note_count; i++) {
        fprintf(out, "%s  %s\n", i == 0 ? "\n" : "", report->notes[i]);
    }
    if (report->row_count > 0) {
        print_rows(report, out);
    }
    if (report->point_count > 0) {
        print_points(report, out);
    }
}
