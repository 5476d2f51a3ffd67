/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned tables on standard output. */
#ifndef CKPT_CKPTCTL_TABLE_H
#define CKPT_CKPTCTL_TABLE_H

#include "ckptctl/ctl.h"

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

/* Adds the cells of an entry; or none, so that there is no row of it. */
typedef void table_row(struct table *table, const struct ctl *ctl, const json_t *entry);

/* Prints a document as --json wants it, or the entries of one of its arrays as a table. */
void table_show(const struct ctl *ctl, const json_t *document, const char *array,
                const struct column *columns, size_t count, table_row *add_row, const char *empty);

#endif
