/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/s3_xml.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool s3_text_add(struct s3_text *text, const char *data, size_t bytes)
{
    if (bytes > S3_TEXT_MAX - text->bytes) {
        return false;
    }
    if (text->bytes + bytes + 1 > text->room) {
        size_t room = 2 * (text->bytes + bytes + 1);
        char *grown = realloc(text->text, room);
        if (grown == NULL) {
            return false;
        }
        text->text = grown;
        text->room = room;
    }
    memcpy(text->text + text->bytes, data, bytes);
    text->bytes += bytes;
    text->text[text->bytes] = '\0';
    return true;
}

/* What one reading of an answer looks for. */
struct reading {
    const char *item;         /* NULL: fields stand anywhere */
    const char *const *names; /* of fields */
    s3_item_visit *visit;
    void *context;
    uint32_t depth;
    uint32_t item_depth; /* 0: in none */
    int field;           /* -1: in none */
    uint32_t field_depth;
    bool is_first_error;
    struct s3_item found;
};

static void on_start(void *context, const char *name, const char **attributes)
{
    struct reading *reading = context;
    (void)attributes;
    reading->depth++;
    if (reading->depth == 1) {
        reading->is_first_error = strcmp(name, "Error") == 0;
    }
    if (reading->item != NULL && reading->item_depth == 0 && strcmp(name, reading->item) == 0) {
        reading->item_depth = reading->depth;
        memset(&reading->found, 0, sizeof(reading->found));
        return;
    }
    bool may = reading->item == NULL ||
               (reading->item_depth > 0 && reading->depth == reading->item_depth + 1);
    for (int i = 0; may && i < S3_FIELDS && reading->names[i] != NULL; i++) {
        if (strcmp(name, reading->names[i]) == 0 && reading->found.values[i][0] == '\0') {
            reading->field = i;
            reading->field_depth = reading->depth;
        }
    }
}

static void on_text(void *context, const char *data, int bytes)
{
    struct reading *reading = context;
    if (reading->field < 0 || reading->depth != reading->field_depth) {
        return;
    }
    char *value = reading->found.values[reading->field];
    size_t at = strlen(value);
    for (int i = 0; i < bytes && at + 1 < S3_VALUE_SIZE; i++) {
        value[at++] = data[i] >= ' ' && data[i] < '\x7f' ? data[i] : '?';
    }
    value[at] = '\0';
}

static void on_end(void *context, const char *name)
{
    struct reading *reading = context;
    (void)name;
    if (reading->field >= 0 && reading->depth == reading->field_depth) {
        reading->field = -1;
    }
    if (reading->item_depth > 0 && reading->depth == reading->item_depth) {
        reading->item_depth = 0;
        reading->visit(reading->context, &reading->found);
    }
    reading->depth--;
}

static bool read_xml(const struct s3_text *text, struct reading *reading)
{
    XML_Parser parser = text->bytes > 0 ? XML_ParserCreate(NULL) : NULL;
    if (parser == NULL) {
        return false;
    }
    reading->field = -1;
    XML_SetUserData(parser, reading);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    bool read = XML_Parse(parser, text->text, (int)text->bytes, 1) == XML_STATUS_OK;
    XML_ParserFree(parser);
    return read;
}

bool s3_text_is_error(const struct s3_text *text)
{
    static const char *const none[S3_FIELDS] = {NULL};
    struct reading reading = {.names = none};
    (void)read_xml(text, &reading);
    return reading.is_first_error;
}

void s3_text_field(const struct s3_text *text, const char *name, char *value_out, size_t size)
{
    const char *const names[S3_FIELDS] = {name};
    struct reading reading = {.names = names};
    (void)read_xml(text, &reading);
    snprintf(value_out, size, "%s", reading.found.values[0]);
}

bool s3_text_items(const struct s3_text *text, const char *item, const char *const names[],
                   s3_item_visit *visit, void *context)
{
    struct reading reading = {.item = item, .names = names, .visit = visit, .context = context};
    return read_xml(text, &reading);
}
