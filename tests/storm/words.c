/* SPDX-License-Identifier: Apache-2.0 */
#include "storm/words.h"

#include <string.h>

#include "wire/layout.h"

#define TYPE(type, noun, ...) type,
static const enum message_type all_types[] = {MESSAGE_TYPE_TABLE(TYPE, TYPE)};
#undef TYPE

static const uint16_t ids[4] = {0, 1, 2, 3};
static const uint8_t some_bytes[64] = {1, 2, 3, 4};

void words_seed(struct words *words, uint64_t seed)
{
    memset(words, 0, sizeof(*words));
    prng_seed(&words->prng, seed);
}

void words_of_bytes(struct words *words, const uint8_t *bytes, size_t count)
{
    memset(words, 0, sizeof(*words));
    words->bytes = bytes;
    words->bytes_left = count;
}

bool words_last(const struct words *words)
{
    return words->bytes == NULL || words->bytes_left > 0;
}

static uint64_t draw(struct words *words, size_t bytes)
{
    if (words->bytes == NULL) {
        return prng_next(&words->prng);
    }
    uint64_t number = 0;
    for (size_t i = 0; i < bytes && words->bytes_left > 0; i++) {
        number = number << 8 | *words->bytes++;
        words->bytes_left--;
    }
    return number;
}

uint64_t words_below(struct words *words, uint64_t bound)
{
    return bound == 0 ? 0 : draw(words, bound <= 256 ? 1 : 8) % bound;
}

bool words_one_in(struct words *words, uint64_t bound)
{
    return words_below(words, bound) == 0;
}

static uint64_t any_number(struct words *words, uint64_t max)
{
    uint64_t number = 0;
    switch (words_below(words, 8)) {
    case 0:
    case 1:
    case 2:
        number = words_below(words, 4);
        break;
    case 3:
    case 4:
    case 5:
        number = words->numbers[words_below(words, WORDS_REMEMBERED)];
        break;
    case 6:
        number = max - words_below(words, 3);
        break;
    default:
        number = draw(words, 8);
        break;
    }
    return max == UINT64_MAX ? number : number % (max + 1);
}

static uint32_t any_enum(struct words *words, const struct wire_field *field)
{
    uint32_t value = words_one_in(words, 4) ? 0 : (uint32_t)words_below(words, 80);
    for (uint32_t tries = 0; tries < 80 && !field->is_known(value); tries++) {
        value = (value + 1) % 80;
    }
    return value;
}

static void any_text(struct words *words, const struct wire_field *field, char *text)
{
    memset(text, 0, field->max + 1);
    switch (words_below(words, 8)) {
    case 0:
        memset(text, 'x', field->max); /* as long as can be */
        return;
    case 1:
        if (field->may_be_empty) {
            return;
        }
        break;
    default:
        break;
    }
    text[0] = (char)('a' + words_below(words, 3));
}

static void any_list(struct words *words, const struct wire_field *field, uint8_t *body)
{
    static struct message_region regions[4];
    static struct message_range ranges[4];
    uint32_t count = (uint32_t)words_below(words, 4);
    const void *list = some_bytes;
    if (field->kind == WIRE_IDS) {
        list = ids;
    } else if (field->kind == WIRE_REGIONS) {
        for (uint32_t i = 0; i < 4; i++) {
            regions[i] = (struct message_region){.bytes = 8, .descriptor = some_bytes};
        }
        list = regions;
    } else if (field->kind == WIRE_RANGES) {
        for (uint32_t i = 0; i < 4; i++) {
            ranges[i] =
                (struct message_range){any_number(words, UINT64_MAX), any_number(words, UINT64_MAX),
                                       any_number(words, UINT64_MAX)};
        }
        list = ranges;
    }
    memcpy(body + field->body_offset, &list, sizeof(list));
    memcpy(body + field->body_count, &count, sizeof(count));
}

static void any_body(struct words *words, const struct wire_layout *layout, uint64_t bound,
                     uint8_t *body);

static void any_field(struct words *words, const struct wire_field *field, uint8_t *body)
{
    uint8_t *to = body + field->body_offset;
    uint32_t narrow = 0;
    switch (field->kind) {
    case WIRE_U32:
        narrow = (uint32_t)any_number(words, field->max);
        if (strcmp(field->name, "uid") == 0 && !words_one_in(words, 8)) {
            narrow = 1000 + (uint32_t)words_below(words, 3);
        }
        memcpy(to, &narrow, sizeof(narrow));
        return;
    case WIRE_ENUM:
        narrow = any_enum(words, field);
        memcpy(to, &narrow, sizeof(narrow));
        return;
    case WIRE_U64: {
        uint64_t wide = any_number(words, field->max);
        memcpy(to, &wide, sizeof(wide));
        return;
    }
    case WIRE_BOOL: {
        bool flag = words_one_in(words, 2);
        memcpy(to, &flag, sizeof(flag));
        return;
    }
    case WIRE_TEXT:
    case WIRE_NAME:
        any_text(words, field, (char *)to);
        return;
    case WIRE_FIXED:
        memset(to, (int)words_below(words, 4), field->max);
        return;
    case WIRE_BYTES:
    case WIRE_JSON:
    case WIRE_IDS:
    case WIRE_REGIONS:
    case WIRE_RANGES:
        any_list(words, field, body);
        return;
    case WIRE_NESTED:
        any_body(words, field->nested, 1, to);
        return;
    }
}

static void any_body(struct words *words, const struct wire_layout *layout, uint64_t bound,
                     uint8_t *body)
{
    for (size_t i = 0; i < layout->field_count; i++) {
        const struct wire_field *field = &layout->fields[i];
        if (bound > 1 && field->kind == WIRE_NESTED) {
            any_body(words, field->nested, bound, body + field->body_offset);
        } else if (bound == 1 || words_one_in(words, bound)) {
            any_field(words, field, body);
        }
    }
}

void words_fill(struct words *words, enum message_type type, struct message *message)
{
    memset(message, 0, sizeof(*message));
    message->type = type;
    any_body(words, wire_layout_of(type), 1, (uint8_t *)&message->rank_open);
}

void words_spoil(struct words *words, struct message *message, uint64_t bound)
{
    any_body(words, wire_layout_of(message->type), bound, (uint8_t *)&message->rank_open);
}

static void remember_numbers(struct words *words, const struct wire_layout *layout,
                             const uint8_t *body)
{
    for (size_t i = 0; i < layout->field_count; i++) {
        const struct wire_field *field = &layout->fields[i];
        uint64_t number = 0;
        uint32_t narrow = 0;
        if (field->kind == WIRE_NESTED) {
            remember_numbers(words, field->nested, body + field->body_offset);
            continue;
        }
        if (field->kind == WIRE_U64) {
            memcpy(&number, body + field->body_offset, sizeof(number));
        } else if (field->kind == WIRE_U32) {
            memcpy(&narrow, body + field->body_offset, sizeof(narrow));
            number = narrow;
        }
        if (number != 0) {
            words->numbers[words->number_next++ % WORDS_REMEMBERED] = number;
        }
    }
}

static void empty_lists(const struct wire_layout *layout, uint8_t *body)
{
    const uint32_t none = 0;
    for (size_t i = 0; i < layout->field_count; i++) {
        const struct wire_field *field = &layout->fields[i];
        if (field->kind == WIRE_BYTES || field->kind == WIRE_JSON || field->kind == WIRE_IDS ||
            field->kind == WIRE_REGIONS || field->kind == WIRE_RANGES) {
            memcpy(body + field->body_count, &none, sizeof(none));
        }
    }
}

void words_hear(struct words *words, const struct message *message)
{
    const struct wire_layout *layout = wire_layout_of(message->type);
    if (layout == NULL) {
        return;
    }
    struct message *kept = &words->heard[words->heard_next++ % WORDS_REMEMBERED];
    *kept = *message;
    remember_numbers(words, layout, (const uint8_t *)&message->rank_open);
    empty_lists(layout, (uint8_t *)&kept->rank_open);
}

const struct message *words_recall(struct words *words, enum message_type type)
{
    uint64_t passed_over = words_below(words, 4);
    const struct message *found = NULL;
    for (uint32_t i = 1; i <= WORDS_REMEMBERED && i <= words->heard_next; i++) {
        const struct message *kept = &words->heard[(words->heard_next - i) % WORDS_REMEMBERED];
        if (kept->type == type) {
            found = kept;
            if (passed_over-- == 0) {
                break;
            }
        }
    }
    return found;
}

enum message_type words_type(struct words *words, const enum message_type *types, size_t count)
{
    if (count == 0) {
        return all_types[words_below(words, sizeof(all_types) / sizeof(all_types[0]))];
    }
    return types[words_below(words, count)];
}
