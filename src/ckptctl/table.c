/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <assert.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void print_json(const json_t *document)
{
    json_dumpf(document, stdout, JSON_INDENT(2));
    putchar('\n');
}

struct size_text size_text(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct size_text size;
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(size.text, sizeof(size.text), unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
             units[unit]);
    return size;
}

struct size_text age_text(uint64_t ms)
{
    struct size_text age;
    if (ms < 1000) {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " ms", ms);
    } else if (ms < 120 * 1000) {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " s", ms / 1000);
    } else if (ms < 120 * 60 * 1000) {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " min", ms / 60000);
    } else if (ms < UINT64_C(48) * 3600 * 1000) {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " h", ms / 3600000);
    } else {
        snprintf(age.text, sizeof(age.text), "%" PRIu64 " d", ms / 86400000);
    }
    return age;
}

struct size_text user_text(uint64_t uid)
{
    struct size_text user;
    const struct passwd *entry = getpwuid((uid_t)uid);
    if (entry && strlen(entry->pw_name) < sizeof(user.text)) {
        snprintf(user.text, sizeof(user.text), "%s", entry->pw_name);
    } else {
        snprintf(user.text, sizeof(user.text), "%" PRIu64, uid);
    }
    return user;
}

uint64_t field_number(const json_t *document, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(document, name));
}

const char *field_text(const json_t *document, const char *name)
{
    const char *text = json_string_value(json_object_get(document, name));
    return text ? text : "";
}

bool field_true(const json_t *document, const char *name)
{
    return json_is_true(json_object_get(document, name));
}

struct sorted {
    uint64_t key;
    size_t place; /* before, so that equals stay in order */
    json_t *entry;
};

static int compare(const void *left, const void *right)
{
    const struct sorted *a = left;
    const struct sorted *b = right;
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return a->place < b->place ? -1 : a->place > b->place;
}

void sort_by(json_t *array, const char *name, bool descending)
{
    size_t count = json_array_size(array);
    struct sorted *entries = calloc(count + 1, sizeof(*entries));
    if (!entries) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *entry = json_array_get(array, i);
        uint64_t key = field_number(entry, name);
        entries[i] = (struct sorted){
            .key = descending ? UINT64_MAX - key : key, .place = i, .entry = json_incref(entry)};
    }
    qsort(entries, count, sizeof(*entries), compare);
    for (size_t i = 0; i < count; i++) {
        json_array_set_new(array, i, entries[i].entry);
    }
    free(entries);
}
