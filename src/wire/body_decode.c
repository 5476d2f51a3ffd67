/* SPDX-License-Identifier: Apache-2.0 */
/* From an unpacked protobuf-c struct to a struct of message.h, row by row. protobuf-c has checked
 * the encoding and nothing else: every value here is the sender's choice. */
#include "wire/body_decode.h"
#include "wire/layout.h"

#include <string.h>

struct decode {
    const struct wire_layout *layout;
    const struct wire_field *field;
    const uint8_t *proto;
    uint8_t *body;
    struct message_scratch *scratch;
};

static const void *from(const struct decode *d)
{
    return d->proto + d->field->proto_offset;
}

static void *to(const struct decode *d)
{
    return d->body + d->field->body_offset;
}

static enum ckpt_status protocol_unless(bool valid)
{
    return valid ? CKPT_OK : CKPT_ERR_PROTOCOL;
}

static enum ckpt_status decode_u32(const struct decode *d)
{
    uint32_t value;
    memcpy(&value, from(d), sizeof(value));
    memcpy(to(d), &value, sizeof(value));
    return protocol_unless(wire_number_is_valid(d->layout, d->field, value, d->scratch));
}

static enum ckpt_status decode_bool(const struct decode *d)
{
    protobuf_c_boolean proto;
    memcpy(&proto, from(d), sizeof(proto));
    bool value = proto != 0;
    memcpy(to(d), &value, sizeof(value));
    return CKPT_OK;
}

/* The field's bytes, of at most its max. */
static bool get_bytes(const struct decode *d, ProtobufCBinaryData *data_out)
{
    ProtobufCBinaryData data;
    memcpy(&data, from(d), sizeof(data));
    if (!wire_count_is_valid(d->layout, d->field, data.len, d->field->max, d->scratch)) {
        return false;
    }
    *data_out = data;
    return true;
}

static enum ckpt_status decode_text(const struct decode *d)
{
    ProtobufCBinaryData data;
    if (!get_bytes(d, &data)) {
        return CKPT_ERR_PROTOCOL;
    }
    char *text = to(d);
    if (data.len > 0) {
        memcpy(text, data.data, data.len); /* the body is zero, so the text ends */
    }
    if (strlen(text) != data.len) {
        return protocol_unless(wire_refuse(d->layout, d->field, d->scratch, "has a NUL inside"));
    }
    return protocol_unless(wire_text_is_valid(d->layout, d->field, text, data.len, d->scratch));
}

static enum ckpt_status decode_fixed(const struct decode *d)
{
    ProtobufCBinaryData data;
    if (!get_bytes(d, &data)) {
        return CKPT_ERR_PROTOCOL;
    }
    if (data.len == 0 && d->field->may_be_empty) {
        return CKPT_OK; /* the body is zeros */
    }
    if (data.len != d->field->max) {
        return protocol_unless(wire_refuse(d->layout, d->field, d->scratch, "is too short"));
    }
    memcpy(to(d), data.data, data.len);
    return CKPT_OK;
}

static void put_count(const struct decode *d, size_t count)
{
    uint32_t narrow = (uint32_t)count; /* checked against the field's max */
    memcpy(d->body + d->field->body_count, &narrow, sizeof(narrow));
}

static enum ckpt_status decode_bytes(const struct decode *d)
{
    ProtobufCBinaryData data;
    if (!get_bytes(d, &data)) {
        return CKPT_ERR_PROTOCOL;
    }
    if (data.len > 0 && d->field->kind == WIRE_JSON && memchr(data.data, '\0', data.len) != NULL) {
        return protocol_unless(wire_refuse(d->layout, d->field, d->scratch, "has a NUL inside"));
    }
    const void *bytes = data.data;
    memcpy(to(d), &bytes, sizeof(bytes));
    put_count(d, data.len);
    return CKPT_OK;
}

/* The elements of a repeated field, as many of them as make one of ours together, and room in
 * scratch for ours. */
static enum ckpt_status get_list(const struct decode *d, size_t together, size_t size,
                                 const void **proto_out, void **list_out, size_t *count_out)
{
    const void *proto;
    size_t count;
    memcpy(&proto, from(d), sizeof(proto));
    memcpy(&count, d->proto + d->field->proto_count, sizeof(count));
    if (count % together != 0) {
        (void)wire_refuse(d->layout, d->field, d->scratch, "ends in mid-element");
        return CKPT_ERR_PROTOCOL;
    }
    count /= together;
    if (!wire_count_is_valid(d->layout, d->field, count, d->field->max, d->scratch)) {
        return CKPT_ERR_PROTOCOL;
    }
    void *list = NULL;
    if (count > 0) {
        list = wire_scratch_take(d->scratch, count * size);
        if (list == NULL) {
            return CKPT_ERR_TOO_LARGE;
        }
    }
    memcpy(to(d), &list, sizeof(list));
    put_count(d, count);
    *proto_out = proto;
    *list_out = list;
    *count_out = count;
    return CKPT_OK;
}

static enum ckpt_status decode_ids(const struct decode *d)
{
    const void *proto;
    void *list;
    size_t count;
    enum ckpt_status status = get_list(d, 1, sizeof(uint16_t), &proto, &list, &count);
    if (status != CKPT_OK) {
        return status;
    }
    const uint32_t *wide = proto;
    uint16_t *ids = list;
    for (size_t i = 0; i < count; i++) {
        if (wide[i] >= CKPT_ARENA_IDS_MAX) {
            return protocol_unless(
                wire_refuse(d->layout, d->field, d->scratch, "names a segment beyond any arena"));
        }
        ids[i] = (uint16_t)wide[i];
    }
    return CKPT_OK;
}

static enum ckpt_status decode_regions(const struct decode *d)
{
    const void *proto;
    void *list;
    size_t count;
    enum ckpt_status status = get_list(d, 1, sizeof(struct message_region), &proto, &list, &count);
    if (status != CKPT_OK) {
        return status;
    }
    const ProtobufCBinaryData *data = proto;
    struct message_region *regions = list;
    for (size_t i = 0; i < count; i++) {
        if (!wire_count_is_valid(d->layout, d->field, data[i].len, CKPT_DESCRIPTOR_MAX,
                                 d->scratch)) {
            return CKPT_ERR_PROTOCOL;
        }
        regions[i] = (struct message_region){
            .bytes = (uint32_t)data[i].len,
            .descriptor = data[i].data,
        };
    }
    return CKPT_OK;
}

static enum ckpt_status decode_ranges(const struct decode *d)
{
    const void *proto;
    void *list;
    size_t count;
    enum ckpt_status status =
        get_list(d, WIRE_NUMBERS_A_RANGE, sizeof(struct message_range), &proto, &list, &count);
    if (status != CKPT_OK) {
        return status;
    }
    const uint64_t *numbers = proto;
    struct message_range *ranges = list;
    for (size_t i = 0; i < count; i++, numbers += WIRE_NUMBERS_A_RANGE) {
        ranges[i] =
            (struct message_range){.from = numbers[0], .to = numbers[1], .bytes = numbers[2]};
    }
    return CKPT_OK;
}

/* An absent message is one with nothing set. */
static enum ckpt_status decode_nested(const struct decode *d)
{
    const struct wire_layout *layout = d->field->nested;
    ProtobufCMessage *proto;
    memcpy(&proto, from(d), sizeof(proto));
    if (proto == NULL) {
        proto = wire_scratch_take(d->scratch, layout->proto->sizeof_message);
        if (proto == NULL) {
            return CKPT_ERR_TOO_LARGE;
        }
        protobuf_c_message_init(layout->proto, proto);
    }
    return wire_body_decode(layout, proto, d->scratch, to(d));
}

static enum ckpt_status decode_field(const struct decode *d)
{
    switch (d->field->kind) {
    case WIRE_U32:
    case WIRE_ENUM:
        return decode_u32(d);
    case WIRE_U64:
        memcpy(to(d), from(d), sizeof(uint64_t));
        return CKPT_OK;
    case WIRE_BOOL:
        return decode_bool(d);
    case WIRE_TEXT:
    case WIRE_NAME:
        return decode_text(d);
    case WIRE_FIXED:
        return decode_fixed(d);
    case WIRE_BYTES:
    case WIRE_JSON:
        return decode_bytes(d);
    case WIRE_IDS:
        return decode_ids(d);
    case WIRE_REGIONS:
        return decode_regions(d);
    case WIRE_RANGES:
        return decode_ranges(d);
    case WIRE_NESTED:
        return decode_nested(d);
    }
    return CKPT_ERR_INTERNAL;
}

enum ckpt_status wire_body_decode(const struct wire_layout *layout, const ProtobufCMessage *proto,
                                  struct message_scratch *scratch, void *body)
{
    for (size_t i = 0; i < layout->field_count; i++) {
        const struct decode d = {
            .layout = layout,
            .field = &layout->fields[i],
            .proto = (const uint8_t *)proto,
            .body = body,
            .scratch = scratch,
        };
        enum ckpt_status status = decode_field(&d);
        if (status != CKPT_OK) {
            return status;
        }
    }
    return CKPT_OK;
}
