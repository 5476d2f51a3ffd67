/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned tables and JSON on standard output. */
#ifndef CKPT_CKPTCTL_TABLE_H
#define CKPT_CKPTCTL_TABLE_H

#include "ctl.h"

enum style { STYLE_PLAIN, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_FAINT };

struct column {
    const char *name;
    bool right; /* aligned, for numbers */
};

struct table;

/* Text that has no memory left is lost; table_print says so. columns must live as long as the
 * table. */
struct table *table_make(const struct column *columns, size_t count);

/* The next cell, row by row. */
void table_cell(struct table *table, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints and frees it. `empty` is printed in place of a table without rows. */
void table_print(struct table *table, const struct ctl *ctl, const char *empty);

void table_free(struct table *table);

/* The document as --json prints it. */
void print_json(const json_t *document);

/* "12.5 MiB", "0 B". */
struct size_text {
    char text[24];
};
struct size_text size_text(uint64_t bytes);
#define SIZE_TEXT(bytes) (size_text(bytes).text)

/* "350 ms", "12 s", "5 min", "3 h", "2 d". */
struct size_text age_text(uint64_t ms);
#define AGE_TEXT(ms) (age_text(ms).text)

/* Fields of a document; 0, "" and false where they are missing. */
uint64_t field_number(const json_t *document, const char *name);
const char *field_text(const json_t *document, const char *name);
bool field_true(const json_t *document, const char *name);

/* The user's name, or the number where there is none. */
struct size_text user_text(uint64_t uid);
#define USER_TEXT(uid) (user_text(uid).text)

/* Orders an array by a numeric field; falling when descending. */
void sort_by(json_t *array, const char *name, bool descending);

#endif
