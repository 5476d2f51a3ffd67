/* SPDX-License-Identifier: Apache-2.0 */
/* A report's parts, for the files that write it in one form or another. */
#ifndef CKPTBENCH_REPORT_INSIDE_H
#define CKPTBENCH_REPORT_INSIDE_H

#include "report/environment.h"
#include "report/report.h"

#define REPORT_ROWS_MAX 64
#define REPORT_POINTS_MAX 1024
#define REPORT_TEXT_MAX 160

struct report_row {
    char key[64];
    char label[REPORT_TEXT_MAX];
    char unit[16];
    char note[REPORT_TEXT_MAX];
    char reason[REPORT_TEXT_MAX]; /* "" when it is known */
    int digits;
    struct samples samples;
};

struct report_point {
    char label[64];
    double values[REPORT_COLUMNS_MAX];
    json_t *samples; /* an object of arrays */
};

struct report {
    char case_name[32];
    char title[REPORT_TEXT_MAX];
    struct environment environment;
    json_t *settings;
    size_t note_count;
    char notes[REPORT_NOTES_MAX][320];
    size_t row_count;
    struct report_row rows[REPORT_ROWS_MAX];
    char label_head[24]; /* "": points have no labels */
    size_t column_count;
    struct report_column columns[REPORT_COLUMNS_MAX];
    size_t point_count;
    struct report_point points[REPORT_POINTS_MAX];
};

#endif
