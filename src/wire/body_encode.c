/* SPDX-License-Identifier: Apache-2.0 */
/* From a struct of message.h to the protobuf-c struct, row by row. Nothing is copied but numbers:
 * the protobuf-c struct points to the texts and lists of the body. */
#include "wire/body_encode.h"
#include "wire/layout.h"

#include <string.h>

/* What the field's kind needs to know of where it comes from and goes to. */
struct encode {
    const struct wire_layout *layout;
    const struct wire_field *field;
    const uint8_t *body;
    uint8_t *proto;
    struct message_scratch *scratch;
};

static const void *from(const struct encode *e)
{
    return e->body + e->field->body_offset;
}

static void *to(const struct encode *e)
{
    return e->proto + e->field->proto_offset;
}

static uint32_t count_of(const struct encode *e)
{
    uint32_t count;
    memcpy(&count, e->body + e->field->body_count, sizeof(count));
    return count;
}

static enum ckpt_status invalid_unless(bool valid)
{
    return valid ? CKPT_OK : CKPT_ERR_INVALID;
}

static enum ckpt_status encode_u32(const struct encode *e)
{
    uint32_t value;
    memcpy(&value, from(e), sizeof(value));
    memcpy(to(e), &value, sizeof(value));
    return invalid_unless(wire_number_is_valid(e->layout, e->field, value, e->scratch));
}

static enum ckpt_status encode_u64(const struct encode *e)
{
    memcpy(to(e), from(e), sizeof(uint64_t));
    return CKPT_OK;
}

static enum ckpt_status encode_bool(const struct encode *e)
{
    bool value;
    memcpy(&value, from(e), sizeof(value));
    protobuf_c_boolean proto = value;
    memcpy(to(e), &proto, sizeof(proto));
    return CKPT_OK;
}

/* protobuf-c only reads what it packs, but its pointers are not const. */
static void put_bytes(void *to, const void *bytes, size_t length)
{
    ProtobufCBinaryData data = {.len = length, .data = (uint8_t *)(uintptr_t)bytes};
    memcpy(to, &data, sizeof(data));
}

static enum ckpt_status encode_text(const struct encode *e)
{
    const char *text = from(e);
    size_t length = strnlen(text, e->field->max + 1);
    if (length > e->field->max) {
        (void)wire_refuse(e->layout, e->field, e->scratch, "has no end");
        return CKPT_ERR_INVALID;
    }
    put_bytes(to(e), text, length);
    return invalid_unless(wire_text_is_valid(e->layout, e->field, text, length, e->scratch));
}

static enum ckpt_status encode_bytes(const struct encode *e)
{
    const void *bytes;
    uint32_t length = count_of(e);
    memcpy(&bytes, from(e), sizeof(bytes));
    if (!wire_count_is_valid(e->layout, e->field, length, e->field->max, e->scratch)) {
        return CKPT_ERR_INVALID;
    }
    if (length > 0 && e->field->kind == WIRE_JSON && memchr(bytes, '\0', length) != NULL) {
        (void)wire_refuse(e->layout, e->field, e->scratch, "has a NUL inside");
        return CKPT_ERR_INVALID;
    }
    put_bytes(to(e), bytes, length);
    return CKPT_OK;
}

/* Puts room for a list, taken from scratch, into the protobuf-c struct: for each of the count
 * elements `together` of the given size. */
static enum ckpt_status take_list(const struct encode *e, size_t count, size_t together,
                                  size_t size, void **list_out)
{
    if (!wire_count_is_valid(e->layout, e->field, count, e->field->max, e->scratch)) {
        return CKPT_ERR_INVALID;
    }
    size_t numbers = count * together;
    void *list = wire_scratch_take(e->scratch, numbers * size);
    if (list == NULL) {
        return CKPT_ERR_INTERNAL;
    }
    memcpy(to(e), &list, sizeof(list));
    memcpy(e->proto + e->field->proto_count, &numbers, sizeof(numbers));
    *list_out = list;
    return CKPT_OK;
}

static enum ckpt_status encode_ids(const struct encode *e)
{
    const uint16_t *ids;
    uint32_t count = count_of(e);
    void *list;
    memcpy(&ids, from(e), sizeof(ids));
    enum ckpt_status status = take_list(e, count, 1, sizeof(uint32_t), &list);
    if (status != CKPT_OK) {
        return status;
    }
    uint32_t *proto = list;
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] >= CKPT_ARENA_IDS_MAX) {
            (void)wire_refuse(e->layout, e->field, e->scratch, "names a segment beyond any arena");
            return CKPT_ERR_INVALID;
        }
        proto[i] = ids[i];
    }
    return CKPT_OK;
}

static enum ckpt_status encode_regions(const struct encode *e)
{
    const struct message_region *regions;
    uint32_t count = count_of(e);
    void *list;
    memcpy(&regions, from(e), sizeof(regions));
    enum ckpt_status status = take_list(e, count, 1, sizeof(ProtobufCBinaryData), &list);
    if (status != CKPT_OK) {
        return status;
    }
    ProtobufCBinaryData *proto = list;
    for (uint32_t i = 0; i < count; i++) {
        if (!wire_count_is_valid(e->layout, e->field, regions[i].bytes, CKPT_DESCRIPTOR_MAX,
                                 e->scratch)) {
            return CKPT_ERR_INVALID;
        }
        put_bytes(&proto[i], regions[i].descriptor, regions[i].bytes);
    }
    return CKPT_OK;
}

static enum ckpt_status encode_ranges(const struct encode *e)
{
    const struct message_range *ranges;
    uint32_t count = count_of(e);
    void *list;
    memcpy(&ranges, from(e), sizeof(ranges));
    enum ckpt_status status = take_list(e, count, WIRE_NUMBERS_A_RANGE, sizeof(uint64_t), &list);
    if (status != CKPT_OK) {
        return status;
    }
    uint64_t *numbers = list;
    for (uint32_t i = 0; i < count; i++, numbers += WIRE_NUMBERS_A_RANGE) {
        numbers[0] = ranges[i].from;
        numbers[1] = ranges[i].to;
        numbers[2] = ranges[i].bytes;
    }
    return CKPT_OK;
}

static enum ckpt_status encode_nested(const struct encode *e)
{
    ProtobufCMessage *nested;
    enum ckpt_status status = wire_body_encode(e->field->nested, from(e), e->scratch, &nested);
    if (status == CKPT_OK) {
        memcpy(to(e), &nested, sizeof(nested));
    }
    return status;
}

static enum ckpt_status encode_field(const struct encode *e)
{
    switch (e->field->kind) {
    case WIRE_U32:
    case WIRE_ENUM:
        return encode_u32(e);
    case WIRE_U64:
        return encode_u64(e);
    case WIRE_BOOL:
        return encode_bool(e);
    case WIRE_TEXT:
    case WIRE_NAME:
        return encode_text(e);
    case WIRE_FIXED:
        put_bytes(to(e), from(e), e->field->max);
        return CKPT_OK;
    case WIRE_BYTES:
    case WIRE_JSON:
        return encode_bytes(e);
    case WIRE_IDS:
        return encode_ids(e);
    case WIRE_REGIONS:
        return encode_regions(e);
    case WIRE_RANGES:
        return encode_ranges(e);
    case WIRE_NESTED:
        return encode_nested(e);
    }
    return CKPT_ERR_INTERNAL;
}

enum ckpt_status wire_body_encode(const struct wire_layout *layout, const void *body,
                                  struct message_scratch *scratch, ProtobufCMessage **proto_out)
{
    ProtobufCMessage *proto = wire_scratch_take(scratch, layout->proto->sizeof_message);
    if (proto == NULL) {
        return CKPT_ERR_INTERNAL;
    }
    protobuf_c_message_init(layout->proto, proto);
    for (size_t i = 0; i < layout->field_count; i++) {
        const struct encode e = {
            .layout = layout,
            .field = &layout->fields[i],
            .body = body,
            .proto = (uint8_t *)proto,
            .scratch = scratch,
        };
        enum ckpt_status status = encode_field(&e);
        if (status != CKPT_OK) {
            return status;
        }
    }
    *proto_out = proto;
    return CKPT_OK;
}
