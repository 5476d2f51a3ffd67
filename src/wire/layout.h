/* SPDX-License-Identifier: Apache-2.0 */
/* How each struct of message.h maps to its message of control.proto: one row a field. The encoder
 * and the decoder walk these rows, so a new field is three lines: in the struct, in control.proto,
 * here.
 *
 * Private to the room: it is the one header that includes protobuf-c. */
#ifndef CKPT_WIRE_LAYOUT_H
#define CKPT_WIRE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <control.pb-c.h>

#include "wire/message_codec.h"

enum wire_kind {
    WIRE_U32,
    WIRE_U64,
    WIRE_BOOL,
    WIRE_ENUM,    /* also a status */
    WIRE_TEXT,    /* char[max + 1]; no NUL before its end */
    WIRE_NAME,    /* the same, and name_is_valid() */
    WIRE_FIXED,   /* uint8_t[max], a struct around it: exactly as long, or empty */
    WIRE_BYTES,   /* a pointer, and its length at body_count */
    WIRE_JSON,    /* the same, without a NUL */
    WIRE_IDS,     /* const uint16_t *, and their number at body_count */
    WIRE_REGIONS, /* const struct message_region *, and their number at body_count */
    WIRE_RANGES,  /* const struct message_range *, and their number at body_count; in the
                   * protobuf-c struct three numbers for each */
    WIRE_NESTED,  /* a struct with a layout of its own */
};

struct wire_layout;

struct wire_field {
    const char *name;
    enum wire_kind kind;
    bool may_be_empty;
    uint16_t body_offset;
    uint16_t body_count; /* offset of a list's number of elements, a uint32_t */
    uint16_t proto_offset;
    uint16_t proto_count;             /* offset of protobuf-c's number of elements, a size_t */
    uint64_t max;                     /* of a number, or of a length */
    bool (*is_known)(uint32_t value); /* of an enum */
    const struct wire_layout *nested;
};

struct wire_layout {
    const char *name;
    const ProtobufCMessageDescriptor *proto;
    const struct wire_field *fields;
    size_t field_count;
    size_t body_bytes; /* of the struct */
};

#define WIRE_NUMBERS_A_RANGE 3

/* Adds nothing to an offset, and does not compile unless the two types are the same. */
#define WIRE_SAME(type_a, type_b)                                                                  \
    (0 * sizeof(char[__builtin_types_compatible_p(type_a, type_b) ? 1 : -1]))
#define WIRE_BODY(body, field) __typeof__(((struct body *)0)->field)
#define WIRE_PROTO(proto, field) __typeof__(((Ckpt__Wire__##proto *)0)->field)

/* body: the struct's tag; proto: the message of control.proto; a field has one name in both. */
#define WIRE_ROW(kind_, body, proto, field, body_type, proto_type)                                 \
    .name = #field, .kind = (kind_),                                                               \
    .body_offset = offsetof(struct body, field) + WIRE_SAME(WIRE_BODY(body, field), body_type),    \
    .proto_offset =                                                                                \
        offsetof(Ckpt__Wire__##proto, field) + WIRE_SAME(WIRE_PROTO(proto, field), proto_type)

#define FIELD_U32(body, proto, field, max_)                                                        \
    {                                                                                              \
        WIRE_ROW(WIRE_U32, body, proto, field, uint32_t, uint32_t), .max = (max_)                  \
    }
#define FIELD_U64(body, proto, field)                                                              \
    {                                                                                              \
        WIRE_ROW(WIRE_U64, body, proto, field, uint64_t, uint64_t), .max = UINT64_MAX              \
    }
#define FIELD_BOOL(body, proto, field)                                                             \
    {                                                                                              \
        WIRE_ROW(WIRE_BOOL, body, proto, field, bool, protobuf_c_boolean), .max = 1                \
    }
#define FIELD_ENUM(body, proto, field, c_type, proto_type, known)                                  \
    {                                                                                              \
        WIRE_ROW(WIRE_ENUM, body, proto, field, enum c_type, Ckpt__Wire__##proto_type),            \
            .max = UINT32_MAX, .is_known = (known)                                                 \
    }
#define FIELD_STATUS(body, proto, field)                                                           \
    {                                                                                              \
        WIRE_ROW(WIRE_ENUM, body, proto, field, enum ckpt_status, uint32_t),                       \
            .max = UINT32_MAX, .is_known = wire_status_is_known                                    \
    }
#define WIRE_TEXT_ROW(kind_, body, proto, field, max_)                                             \
    WIRE_ROW(kind_, body, proto, field, char[(max_) + 1], ProtobufCBinaryData), .max = (max_)
#define FIELD_TEXT(body, proto, field, max_)                                                       \
    {                                                                                              \
        WIRE_TEXT_ROW(WIRE_TEXT, body, proto, field, max_), .may_be_empty = true                   \
    }
#define FIELD_REASON(body, proto, field) FIELD_TEXT(body, proto, field, CKPT_REASON_MAX)
#define FIELD_NAME(body, proto, field, max_)                                                       \
    {                                                                                              \
        WIRE_TEXT_ROW(WIRE_NAME, body, proto, field, max_)                                         \
    }
#define FIELD_NAME_OR_EMPTY(body, proto, field, max_)                                              \
    {                                                                                              \
        WIRE_TEXT_ROW(WIRE_NAME, body, proto, field, max_), .may_be_empty = true                   \
    }
#define FIELD_DIGEST(body, proto, field)                                                           \
    {                                                                                              \
        WIRE_ROW(WIRE_FIXED, body, proto, field, struct digest, ProtobufCBinaryData),              \
            .max = sizeof(struct digest)                                                           \
    }
/* All zeros where the sender's body has none. */
#define FIELD_DIGEST_OR_NONE(body, proto, field)                                                   \
    {                                                                                              \
        WIRE_ROW(WIRE_FIXED, body, proto, field, struct digest, ProtobufCBinaryData),              \
            .max = sizeof(struct digest), .may_be_empty = true                                     \
    }
#define FIELD_INCARNATION_OR_NONE(body, proto, field)                                              \
    {                                                                                              \
        WIRE_ROW(WIRE_FIXED, body, proto, field, struct incarnation, ProtobufCBinaryData),         \
            .max = sizeof(struct incarnation), .may_be_empty = true                                \
    }
#define FIELD_INCARNATION(body, proto, field)                                                      \
    {                                                                                              \
        WIRE_ROW(WIRE_FIXED, body, proto, field, struct incarnation, ProtobufCBinaryData),         \
            .max = sizeof(struct incarnation)                                                      \
    }
/* Empty where the sender's body has none, then all zeros. */
#define FIELD_SECRET(body, proto, field)                                                           \
    {                                                                                              \
        WIRE_ROW(WIRE_FIXED, body, proto, field, struct digest_secret, ProtobufCBinaryData),       \
            .max = sizeof(struct digest_secret), .may_be_empty = true                              \
    }
/* All zeros where the sender's body has none. */
#define FIELD_NONCE(body, proto, field)                                                            \
    {                                                                                              \
        WIRE_ROW(WIRE_FIXED, body, proto, field, struct nonce, ProtobufCBinaryData),               \
            .max = sizeof(struct nonce), .may_be_empty = true                                      \
    }
#define WIRE_COUNT_OFFSET(body, count)                                                             \
    (offsetof(struct body, count) + WIRE_SAME(WIRE_BODY(body, count), uint32_t))
#define FIELD_BYTES(body, proto, field, count, max_)                                               \
    {                                                                                              \
        WIRE_ROW(WIRE_BYTES, body, proto, field, const uint8_t *, ProtobufCBinaryData),            \
            .max = (max_), .body_count = WIRE_COUNT_OFFSET(body, count)                            \
    }
#define FIELD_JSON(body, proto, field, count, max_)                                                \
    {                                                                                              \
        WIRE_ROW(WIRE_JSON, body, proto, field, const char *, ProtobufCBinaryData),                \
            .max = (max_), .body_count = WIRE_COUNT_OFFSET(body, count)                            \
    }
#define FIELD_IDS(body, proto, field, count, max_)                                                 \
    {                                                                                              \
        WIRE_ROW(WIRE_IDS, body, proto, field, const uint16_t *, uint32_t *),                      \
            .max = (max_), .body_count = WIRE_COUNT_OFFSET(body, count),                           \
            .proto_count = offsetof(Ckpt__Wire__##proto, n_##field)                                \
    }
#define FIELD_REGIONS(body, proto, field, count, max_)                                             \
    {                                                                                              \
        WIRE_ROW(WIRE_REGIONS, body, proto, field, const struct message_region *,                  \
                 ProtobufCBinaryData *),                                                           \
            .max = (max_), .body_count = WIRE_COUNT_OFFSET(body, count),                           \
            .proto_count = offsetof(Ckpt__Wire__##proto, n_##field)                                \
    }
#define FIELD_RANGES(body, proto, field, count, max_)                                              \
    {                                                                                              \
        WIRE_ROW(WIRE_RANGES, body, proto, field, const struct message_range *, uint64_t *),       \
            .max = (max_), .body_count = WIRE_COUNT_OFFSET(body, count),                           \
            .proto_count = offsetof(Ckpt__Wire__##proto, n_##field)                                \
    }
#define FIELD_NESTED(body, proto, field, c_type, proto_type, layout)                               \
    {                                                                                              \
        WIRE_ROW(WIRE_NESTED, body, proto, field, struct c_type, Ckpt__Wire__##proto_type *),      \
            .nested = &(layout)                                                                    \
    }
/* A run or a shard that is named, or that may be left empty. */
#define FIELD_RUN(body, proto, field)                                                              \
    FIELD_NESTED(body, proto, field, run_key, RunKey, wire_layout_run_key)
#define FIELD_RUN_OR_EMPTY(body, proto, field)                                                     \
    FIELD_NESTED(body, proto, field, run_key, RunKey, wire_layout_run_key_or_empty)
#define FIELD_SHARD(body, proto, field)                                                            \
    FIELD_NESTED(body, proto, field, shard_key, ShardKey, wire_layout_shard_key)
#define FIELD_SHARD_OR_EMPTY(body, proto, field)                                                   \
    FIELD_NESTED(body, proto, field, shard_key, ShardKey, wire_layout_shard_key_or_empty)
#define FIELD_DIGEST_KIND(body, proto, field)                                                      \
    FIELD_ENUM(body, proto, field, digest_kind, DigestKind, wire_digest_kind_is_known)
#define FIELD_DIGEST_KEY(body, proto, field)                                                       \
    FIELD_NESTED(body, proto, field, digest_key, DigestKey, wire_layout_digest_key)
#define FIELD_CHECKPOINT_STATE(body, proto, field)                                                 \
    FIELD_ENUM(body, proto, field, checkpoint_state, CheckpointState,                              \
               wire_checkpoint_state_is_known)
#define FIELD_COPY_STATE(body, proto, field)                                                       \
    FIELD_ENUM(body, proto, field, copy_state, CopyState, wire_copy_state_is_known)

/* Defines wire_layout_<noun> over the rows in <noun>_fields. */
#define WIRE_LAYOUT(noun, body, descriptor)                                                        \
    const struct wire_layout wire_layout_##noun = {                                                \
        .name = #noun,                                                                             \
        .proto = &ckpt__wire__##descriptor##__descriptor,                                          \
        .fields = noun##_fields,                                                                   \
        .field_count = sizeof(noun##_fields) / sizeof(noun##_fields[0]),                           \
        .body_bytes = sizeof(struct body),                                                         \
    }
#define WIRE_LAYOUT_EMPTY(noun, descriptor)                                                        \
    const struct wire_layout wire_layout_##noun = {                                                \
        .name = #noun, .proto = &ckpt__wire__##descriptor##__descriptor}

#define WIRE_LAYOUT_DECLARE(type, noun, ...) extern const struct wire_layout wire_layout_##noun;
MESSAGE_TYPE_TABLE(WIRE_LAYOUT_DECLARE, WIRE_LAYOUT_DECLARE)
#undef WIRE_LAYOUT_DECLARE
extern const struct wire_layout wire_layout_digest_key;
extern const struct wire_layout wire_layout_run_key;
extern const struct wire_layout wire_layout_run_key_or_empty;
extern const struct wire_layout wire_layout_shard_key;
extern const struct wire_layout wire_layout_shard_key_or_empty;

/* NULL when type is no type. */
const struct wire_layout *wire_layout_of(enum message_type type);

bool wire_status_is_known(uint32_t value);
bool wire_checkpoint_state_is_known(uint32_t value);
bool wire_checkpoint_tier_is_known(uint32_t value);
bool wire_copy_state_is_known(uint32_t value);
bool wire_digest_kind_is_known(uint32_t value);
bool wire_pull_purpose_is_known(uint32_t value);
bool wire_admin_verb_is_known(uint32_t value);
bool wire_job_verb_is_known(uint32_t value);
bool wire_checkpoint_mark_is_known(uint32_t value);

/* The checks that both directions share. On failure they write scratch->reason and return false. */
bool wire_number_is_valid(const struct wire_layout *layout, const struct wire_field *field,
                          uint64_t value, struct message_scratch *scratch);

/* A length or a number of elements, of the field or of one of its elements. */
bool wire_count_is_valid(const struct wire_layout *layout, const struct wire_field *field,
                         uint64_t count, uint64_t max, struct message_scratch *scratch);

/* text: the array in the body, of length characters up to its NUL. */
bool wire_text_is_valid(const struct wire_layout *layout, const struct wire_field *field,
                        const char *text, size_t length, struct message_scratch *scratch);

/* Writes "<layout>.<field> <what>" to scratch->reason and returns false. */
bool wire_refuse(const struct wire_layout *layout, const struct wire_field *field,
                 struct message_scratch *scratch, const char *what);

/* Memory of scratch, aligned for anything in a message; NULL when it is exhausted. */
void *wire_scratch_take(struct message_scratch *scratch, size_t bytes);

#endif
