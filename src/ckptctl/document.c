/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void print_json(const json_t *document)
{
    json_dumpf(document, stdout, JSON_INDENT(2));
    putchar('\n');
}
