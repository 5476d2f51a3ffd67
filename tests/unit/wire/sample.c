/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/wire/sample.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TYPE(type, noun, ...) type,
const enum message_type sample_types[] = {MESSAGE_TYPE_TABLE(TYPE, TYPE)};
#undef TYPE
const size_t sample_type_count = sizeof(sample_types) / sizeof(sample_types[0]);

static uint8_t any_bytes[CKPT_FRAME_BODY_MAX];
static uint16_t ids[CKPT_SEGMENTS_PER_SHARD_MAX];
static struct message_region regions[CKPT_SEGMENTS_PER_SHARD_MAX];
static struct message_range ranges[CKPT_RANGES_MAX];

static uint64_t pattern;

/* A number that differs from field to field, so that two swapped fields are seen. */
static uint64_t next_number(void)
{
    pattern = pattern * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return pattern >> 11;
}

static uint32_t sample_enum(const struct wire_field *field, enum sample_variant variant)
{
    uint32_t known[128];
    uint32_t count = 0;
    for (uint32_t value = 0; value < 128; value++) {
        if (field->is_known(value)) {
            known[count++] = value;
        }
    }
    assert(count > 1);
    switch (variant) {
    case SAMPLE_LEAST:
        return known[0];
    case SAMPLE_GREATEST:
        return known[count - 1];
    case SAMPLE_PATTERN:
        return known[1 + next_number() % (count - 1)];
    }
    return 0;
}

static uint64_t sample_number(const struct wire_field *field, enum sample_variant variant)
{
    switch (variant) {
    case SAMPLE_LEAST:
        return 0;
    case SAMPLE_GREATEST:
        return field->max;
    case SAMPLE_PATTERN:
        return field->max == UINT64_MAX ? next_number() : next_number() % (field->max + 1);
    }
    return 0;
}

static size_t sample_length(const struct wire_field *field, enum sample_variant variant)
{
    switch (variant) {
    case SAMPLE_LEAST:
        return field->may_be_empty || field->kind != WIRE_NAME ? 0 : 1;
    case SAMPLE_GREATEST:
        return field->max;
    case SAMPLE_PATTERN:
        return 1 + next_number() % (field->max < 12 ? field->max : 12);
    }
    return 0;
}

static void fill_text(char *text, size_t length)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyz-_.ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    memset(text, 0, length + 1);
    for (size_t i = 0; i < length; i++) {
        text[i] = letters[next_number() % (sizeof(letters) - 1)];
    }
    if (length > 0) {
        text[0] = 'n'; /* no component is "." or ".." */
    }
}

static void fill_lists(void)
{
    for (size_t i = 0; i < sizeof(any_bytes); i++) {
        any_bytes[i] = (uint8_t)(1 + i % 251); /* JSON has no NUL */
    }
    for (size_t i = 0; i < CKPT_SEGMENTS_PER_SHARD_MAX; i++) {
        ids[i] = (uint16_t)(CKPT_ARENA_IDS_MAX - 1 - i);
    }
}

static void fill_body(const struct wire_layout *layout, enum sample_variant variant, uint8_t *body);

static void fill_list(const struct wire_field *field, enum sample_variant variant, uint8_t *body)
{
    uint32_t count = (uint32_t)sample_length(field, variant);
    const void *list = any_bytes;
    if (field->kind == WIRE_IDS) {
        list = ids;
    } else if (field->kind == WIRE_REGIONS) {
        for (uint32_t i = 0; i < count; i++) {
            regions[i].bytes = variant == SAMPLE_GREATEST ? CKPT_DESCRIPTOR_MAX : 1 + i;
            regions[i].descriptor = any_bytes + i;
        }
        list = regions;
    } else if (field->kind == WIRE_RANGES) {
        for (uint32_t i = 0; i < count; i++) {
            uint64_t number = variant == SAMPLE_GREATEST ? UINT64_MAX : i;
            ranges[i] = (struct message_range){number, number * 3, number * 5};
        }
        list = ranges;
    }
    memcpy(body + field->body_offset, &list, sizeof(list));
    memcpy(body + field->body_count, &count, sizeof(count));
}

static void fill_field(const struct wire_field *field, enum sample_variant variant, uint8_t *body)
{
    uint8_t *to = body + field->body_offset;
    uint32_t narrow;
    uint64_t wide;
    bool flag;
    switch (field->kind) {
    case WIRE_U32:
        narrow = (uint32_t)sample_number(field, variant);
        memcpy(to, &narrow, sizeof(narrow));
        return;
    case WIRE_ENUM:
        narrow = sample_enum(field, variant);
        memcpy(to, &narrow, sizeof(narrow));
        return;
    case WIRE_U64:
        wide = sample_number(field, variant);
        memcpy(to, &wide, sizeof(wide));
        return;
    case WIRE_BOOL:
        flag = variant != SAMPLE_LEAST;
        memcpy(to, &flag, sizeof(flag));
        return;
    case WIRE_TEXT:
    case WIRE_NAME:
        fill_text((char *)to, sample_length(field, variant));
        return;
    case WIRE_FIXED:
        for (size_t i = 0; i < field->max; i++) {
            to[i] = variant == SAMPLE_LEAST ? 0 : (uint8_t)next_number();
        }
        return;
    case WIRE_BYTES:
    case WIRE_JSON:
    case WIRE_IDS:
    case WIRE_REGIONS:
    case WIRE_RANGES:
        fill_list(field, variant, body);
        return;
    case WIRE_NESTED:
        fill_body(field->nested, variant, to);
        return;
    }
}

static void fill_body(const struct wire_layout *layout, enum sample_variant variant, uint8_t *body)
{
    for (size_t i = 0; i < layout->field_count; i++) {
        fill_field(&layout->fields[i], variant, body);
    }
}

void sample_fill(enum message_type type, enum sample_variant variant, struct message *message_out)
{
    fill_lists();
    pattern = type;
    memset(message_out, variant == SAMPLE_LEAST ? 0 : 0xa5, sizeof(*message_out));
    message_out->type = type;
    message_out->epoch = variant == SAMPLE_LEAST ? 0 : UINT64_MAX - type;
    message_out->sequence = variant == SAMPLE_LEAST ? 0 : UINT64_MAX;
    fill_body(wire_layout_of(type), variant, (uint8_t *)&message_out->rank_open);
}

size_t sample_field_bytes(const struct wire_field *field)
{
    switch (field->kind) {
    case WIRE_U32:
    case WIRE_ENUM:
        return sizeof(uint32_t);
    case WIRE_U64:
        return sizeof(uint64_t);
    case WIRE_BOOL:
        return sizeof(bool);
    case WIRE_TEXT:
    case WIRE_NAME:
        return field->max + 1;
    case WIRE_FIXED:
        return field->max;
    case WIRE_BYTES:
    case WIRE_JSON:
    case WIRE_IDS:
    case WIRE_REGIONS:
    case WIRE_RANGES:
        return sizeof(void *);
    case WIRE_NESTED:
        return field->nested->body_bytes;
    }
    return 0;
}

static bool regions_equal(const struct message_region *a, const struct message_region *b,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (a[i].bytes != b[i].bytes ||
            (a[i].bytes > 0 && memcmp(a[i].descriptor, b[i].descriptor, a[i].bytes) != 0)) {
            return false;
        }
    }
    return true;
}

static bool lists_equal(const struct wire_field *field, const uint8_t *a, const uint8_t *b)
{
    uint32_t count;
    const void *list_a;
    const void *list_b;
    if (memcmp(a + field->body_count, b + field->body_count, sizeof(count)) != 0) {
        return false;
    }
    memcpy(&count, a + field->body_count, sizeof(count));
    memcpy(&list_a, a + field->body_offset, sizeof(list_a));
    memcpy(&list_b, b + field->body_offset, sizeof(list_b));
    if (count == 0) {
        return true;
    }
    if (field->kind == WIRE_REGIONS) {
        return regions_equal(list_a, list_b, count);
    }
    size_t size = field->kind == WIRE_IDS      ? sizeof(uint16_t)
                  : field->kind == WIRE_RANGES ? sizeof(struct message_range)
                                               : 1;
    return memcmp(list_a, list_b, count * size) == 0;
}

static bool bodies_equal(const struct wire_layout *layout, const uint8_t *a, const uint8_t *b)
{
    for (size_t i = 0; i < layout->field_count; i++) {
        const struct wire_field *field = &layout->fields[i];
        const uint8_t *field_a = a + field->body_offset;
        const uint8_t *field_b = b + field->body_offset;
        bool equal;
        switch (field->kind) {
        case WIRE_BYTES:
        case WIRE_JSON:
        case WIRE_IDS:
        case WIRE_REGIONS:
        case WIRE_RANGES:
            equal = lists_equal(field, a, b);
            break;
        case WIRE_NESTED:
            equal = bodies_equal(field->nested, field_a, field_b);
            break;
        case WIRE_TEXT:
        case WIRE_NAME:
            equal = strcmp((const char *)field_a, (const char *)field_b) == 0;
            break;
        case WIRE_U32:
        case WIRE_ENUM:
        case WIRE_U64:
        case WIRE_BOOL:
        case WIRE_FIXED:
        default:
            equal = memcmp(field_a, field_b, sample_field_bytes(field)) == 0;
            break;
        }
        if (!equal) {
            return false;
        }
    }
    return true;
}

bool sample_equal(const struct message *a, const struct message *b)
{
    return a->type == b->type && a->epoch == b->epoch && a->sequence == b->sequence &&
           incarnation_equal(&a->incarnation, &b->incarnation) &&
           bodies_equal(wire_layout_of(a->type), (const uint8_t *)&a->rank_open,
                        (const uint8_t *)&b->rank_open);
}

uint8_t *sample_buffer(void)
{
    static uint8_t buffer[FRAME_BYTES_MAX];
    return buffer;
}

struct message_scratch *sample_scratch(void)
{
    static uint8_t memory[MESSAGE_SCRATCH_BYTES(CKPT_FRAME_BODY_MAX)];
    static struct message_scratch scratch;
    message_scratch_init(&scratch, memory, sizeof(memory));
    return &scratch;
}
