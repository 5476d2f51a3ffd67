/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/table.h"

#include <assert.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckptctl/document.h"

struct cell {
    char *text;
    enum style style;
};

struct table {
    const struct column *columns;
    size_t column_count;
    struct cell *cells;
    size_t count;
    size_t room;
    bool lost;
};

struct table *table_make(const struct column *columns, size_t count)
{
    struct table *table = calloc(1, sizeof(*table));
    if (table) {
        table->columns = columns;
        table->column_count = count;
    }
    return table;
}

void table_cell(struct table *table, enum style style, const char *format, ...)
{
    if (!table) {
        return;
    }
    if (table->count == table->room) {
        size_t room = table->room ? 2 * table->room : 64;
        struct cell *cells = realloc(table->cells, room * sizeof(*cells));
        if (!cells) {
            table->lost = true;
            return;
        }
        table->cells = cells;
        table->room = room;
    }
    struct cell *cell = &table->cells[table->count++];
    va_list arguments;
    va_start(arguments, format);
    cell->style = style;
    if (vasprintf(&cell->text, format, arguments) < 0) {
        cell->text = NULL;
        table->lost = true;
    }
    va_end(arguments);
}

static void print_cell(const char *text, size_t width, bool right, bool is_last, const char *begin,
                       const char *end)
{
    size_t fill = width - strlen(text);
    /* Blanks outside the colour, none at a line's end. */
    printf("%*s%s%s%s", right ? (int)fill : 0, "", begin, text, end);
    if (!is_last) {
        printf("%*s  ", right ? 0 : (int)fill, "");
    }
}

static void print_row(const struct table *table, const size_t *widths, size_t first, bool color)
{
    static const char *const begins[] = {[STYLE_PLAIN] = "",
                                         [STYLE_GOOD] = "\033[32m",
                                         [STYLE_WARN] = "\033[33m",
                                         [STYLE_BAD] = "\033[1;31m",
                                         [STYLE_FAINT] = "\033[2m"};
    for (size_t i = 0; i < table->column_count && first + i < table->count; i++) {
        const struct cell *cell = &table->cells[first + i];
        bool styled = color && cell->style != STYLE_PLAIN;
        print_cell(cell->text ? cell->text : "?", widths[i], table->columns[i].right,
                   i + 1 == table->column_count, styled ? begins[cell->style] : "",
                   styled ? "\033[0m" : "");
    }
    putchar('\n');
}

static void print_rows(const struct table *table, bool color)
{
    size_t widths[16] = {0};
    assert(table->column_count > 0);
    for (size_t i = 0; i < table->column_count; i++) {
        widths[i] = strlen(table->columns[i].name);
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t width = table->cells[i].text ? strlen(table->cells[i].text) : 1;
        if (width > widths[i % table->column_count]) {
            widths[i % table->column_count] = width;
        }
    }
    for (size_t i = 0; i < table->column_count; i++) {
        print_cell(table->columns[i].name, widths[i], table->columns[i].right,
                   i + 1 == table->column_count, color ? "\033[1m" : "", color ? "\033[0m" : "");
    }
    putchar('\n');
    for (size_t row = 0; row < table->count; row += table->column_count) {
        print_row(table, widths, row, color);
    }
}

void table_print(struct table *table, const struct ctl *ctl, const char *empty)
{
    if (!table || table->lost) {
        complain(EXIT_NO, "no memory: the table is not whole");
    }
    if (!table) {
        return;
    }
    if (table->count == 0) {
        puts(empty);
    } else {
        print_rows(table, ctl->color);
    }
    table_free(table);
}

void table_free(struct table *table)
{
    for (size_t i = 0; table && i < table->count; i++) {
        free(table->cells[i].text);
    }
    if (table) {
        free(table->cells);
    }
    free(table);
}

void table_show(const struct ctl *ctl, const json_t *document, const char *array,
                const struct column *columns, size_t count, table_row *add_row, const char *empty)
{
    size_t i;
    const json_t *entry;
    if (ctl->json) {
        print_json(document);
        return;
    }
    struct table *table = table_make(columns, count);
    json_array_foreach(json_object_get(document, array), i, entry)
    {
        add_row(table, ctl, entry);
    }
    table_print(table, ctl, empty);
}
