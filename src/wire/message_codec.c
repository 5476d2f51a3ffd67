/* SPDX-License-Identifier: Apache-2.0 */
/* Encode: struct -> protobuf-c struct (on the stack) -> body -> header in front of it.
 * Decode: header -> CRC -> protobuf-c struct (in scratch) -> struct.
 *
 * A failure leaves the outputs alone and says why in the scratch; nothing is kept, nothing is
 * freed. */
#include "wire/message_codec.h"

#include <string.h>

#include "base/reason.h"
#include "wire/body_decode.h"
#include "wire/body_encode.h"
#include "wire/layout.h"

/* The largest list, and the protobuf-c structs of a message and its nested ones. */
#define ENCODE_SCRATCH_BYTES                                                                       \
    (CKPT_SEGMENTS_PER_SHARD_MAX * sizeof(ProtobufCBinaryData) + 2 * CKPT_KIB)
_Static_assert(CKPT_RANGES_MAX *WIRE_NUMBERS_A_RANGE * sizeof(uint64_t) <=
                   CKPT_SEGMENTS_PER_SHARD_MAX * sizeof(ProtobufCBinaryData),
               "a list of ranges is no larger");

/* Every body is a member of the one union. */
#define BODY_OFFSET offsetof(struct message, rank_open)
_Static_assert(offsetof(struct message, admin_answer) == BODY_OFFSET, "bodies share one place");

/* A field number of two bytes, then a length or a number. */
#define TAG_BYTES 2
#define VARINT32_BYTES 5
#define VARINT64_BYTES 10

void message_scratch_init(struct message_scratch *scratch, void *memory, size_t capacity)
{
    scratch->memory = memory;
    scratch->capacity = capacity;
    scratch->used = 0;
    scratch->exhausted = false;
    scratch->reason[0] = '\0';
}

const char *message_type_name(enum message_type type)
{
    const struct wire_layout *layout = wire_layout_of(type);
    return layout == NULL ? "unknown" : layout->name;
}

static size_t body_bytes_max(const struct wire_layout *layout);

static size_t field_bytes_max(const struct wire_field *field)
{
    switch (field->kind) {
    case WIRE_U32:
    case WIRE_ENUM:
    case WIRE_BOOL:
        return TAG_BYTES + VARINT32_BYTES;
    case WIRE_U64:
        return TAG_BYTES + VARINT64_BYTES;
    case WIRE_TEXT:
    case WIRE_NAME:
    case WIRE_FIXED:
    case WIRE_BYTES:
    case WIRE_JSON:
        return TAG_BYTES + VARINT32_BYTES + field->max;
    case WIRE_IDS:
        return TAG_BYTES + VARINT32_BYTES + field->max * VARINT32_BYTES;
    case WIRE_REGIONS:
        return field->max * (TAG_BYTES + VARINT32_BYTES + CKPT_DESCRIPTOR_MAX);
    case WIRE_RANGES:
        return TAG_BYTES + VARINT32_BYTES + field->max * WIRE_NUMBERS_A_RANGE * VARINT64_BYTES;
    case WIRE_NESTED:
        return TAG_BYTES + VARINT32_BYTES + body_bytes_max(field->nested);
    }
    return 0;
}

static size_t body_bytes_max(const struct wire_layout *layout)
{
    size_t bytes = 0;
    for (size_t i = 0; i < layout->field_count; i++) {
        bytes += field_bytes_max(&layout->fields[i]);
    }
    return bytes;
}

size_t message_frame_bytes_max(enum message_type type)
{
    const struct wire_layout *layout = wire_layout_of(type);
    return layout == NULL ? 0 : FRAME_HEADER_BYTES + body_bytes_max(layout);
}

static enum ckpt_status to_proto(const struct message *message, struct message_scratch *scratch,
                                 ProtobufCMessage **proto_out)
{
    const struct wire_layout *layout = wire_layout_of(message->type);
    if (layout == NULL) {
        return reason_refuse(scratch->reason, CKPT_ERR_INVALID, "there is no message type %u",
                             (unsigned)message->type);
    }
    return wire_body_encode(layout, (const uint8_t *)message + BODY_OFFSET, scratch, proto_out);
}

enum ckpt_status message_check(const struct message *message, char *reason_out)
{
    _Alignas(max_align_t) uint8_t memory[ENCODE_SCRATCH_BYTES];
    struct message_scratch scratch;
    message_scratch_init(&scratch, memory, sizeof(memory));
    ProtobufCMessage *proto = NULL;
    enum ckpt_status status = to_proto(message, &scratch, &proto);
    if (status != CKPT_OK && reason_out != NULL) {
        memcpy(reason_out, scratch.reason, sizeof(scratch.reason));
    }
    return status;
}

enum ckpt_status message_encode(const struct message *message, uint8_t *buffer, size_t capacity,
                                size_t *bytes_out)
{
    _Alignas(max_align_t) uint8_t memory[ENCODE_SCRATCH_BYTES];
    struct message_scratch scratch;
    message_scratch_init(&scratch, memory, sizeof(memory));
    ProtobufCMessage *proto = NULL;
    enum ckpt_status status = to_proto(message, &scratch, &proto);
    if (status != CKPT_OK) {
        return status;
    }
    size_t body_bytes = protobuf_c_message_get_packed_size(proto);
    if (body_bytes > CKPT_FRAME_BODY_MAX || capacity < FRAME_HEADER_BYTES ||
        body_bytes > capacity - FRAME_HEADER_BYTES) {
        return CKPT_ERR_TOO_LARGE;
    }
    (void)protobuf_c_message_pack(proto, buffer + FRAME_HEADER_BYTES);
    const struct frame_header header = {
        .version = WIRE_PROTOCOL_VERSION,
        .type = (uint16_t)message->type,
        .body_bytes = (uint32_t)body_bytes,
        .epoch = message->epoch,
        .incarnation = message->incarnation,
        .sequence = message->sequence,
    };
    status = frame_encode_header(&header, buffer + FRAME_HEADER_BYTES, buffer);
    if (status == CKPT_OK) {
        *bytes_out = FRAME_HEADER_BYTES + body_bytes;
    }
    return status;
}

static void *scratch_alloc(void *scratch, size_t bytes)
{
    return wire_scratch_take(scratch, bytes);
}

/* All of it goes at once, at the next decode. */
static void scratch_free(void *scratch, void *memory)
{
    (void)scratch;
    (void)memory;
}

static enum ckpt_status too_large(const struct wire_layout *layout, size_t bytes,
                                  struct message_scratch *scratch)
{
    return reason_refuse(scratch->reason, CKPT_ERR_TOO_LARGE,
                         "a %s of %zu bytes needs more memory than is kept for it", layout->name,
                         bytes);
}

static enum ckpt_status unpack(const struct wire_layout *layout, const uint8_t *body, size_t bytes,
                               struct message_scratch *scratch, ProtobufCMessage **proto_out)
{
    ProtobufCAllocator allocator = {
        .alloc = scratch_alloc,
        .free = scratch_free,
        .allocator_data = scratch,
    };
    scratch->used = 0;
    scratch->exhausted = false;
    ProtobufCMessage *proto = protobuf_c_message_unpack(layout->proto, &allocator, bytes, body);
    if (proto != NULL) {
        *proto_out = proto;
        return CKPT_OK;
    }
    if (scratch->exhausted) {
        return too_large(layout, bytes, scratch);
    }
    return reason_refuse(scratch->reason, CKPT_ERR_PROTOCOL,
                         "the %zu bytes of a body are not of a %s", bytes, layout->name);
}

enum ckpt_status message_decode(const uint8_t *frame, size_t bytes, struct message_scratch *scratch,
                                struct message *message_out)
{
    struct frame_header header;
    enum ckpt_status status = frame_check(frame, bytes, &header, scratch->reason);
    if (status != CKPT_OK) {
        return status;
    }
    const struct wire_layout *layout = wire_layout_of((enum message_type)header.type);
    if (layout == NULL) {
        return reason_refuse(scratch->reason, CKPT_ERR_PROTOCOL, "there is no message type %u",
                             header.type);
    }
    ProtobufCMessage *proto = NULL;
    status = unpack(layout, frame + FRAME_HEADER_BYTES, header.body_bytes, scratch, &proto);
    if (status != CKPT_OK) {
        return status;
    }
    struct message message;
    void *body = (uint8_t *)&message + BODY_OFFSET;
    memset(body, 0, layout->body_bytes);
    status = wire_body_decode(layout, proto, scratch, body);
    if (status != CKPT_OK) {
        return status == CKPT_ERR_TOO_LARGE ? too_large(layout, header.body_bytes, scratch)
                                            : status;
    }
    message_out->type = (enum message_type)header.type;
    message_out->epoch = header.epoch;
    message_out->incarnation = header.incarnation;
    message_out->sequence = header.sequence;
    memcpy((uint8_t *)message_out + BODY_OFFSET, body, layout->body_bytes);
    return CKPT_OK;
}
