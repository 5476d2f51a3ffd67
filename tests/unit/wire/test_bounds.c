/* SPDX-License-Identifier: Apache-2.0 */
/* One field at a time goes over its bound, in the struct and on the wire: both directions refuse
 * it, and say which field it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/wire/sample.h"
#include "wire/body_encode.h"

static uint8_t letters[MESSAGE_JSON_MAX + 1]; /* all 'a' */

/* ---- on the wire ---- */

/* A fresh protobuf-c struct of a good message, in static memory. */
static ProtobufCMessage *good_proto(enum message_type type)
{
    static struct message message;
    static _Alignas(max_align_t) uint8_t memory[64 * CKPT_KIB];
    struct message_scratch scratch;
    message_scratch_init(&scratch, memory, sizeof(memory));
    sample_fill(type, SAMPLE_PATTERN, &message);
    ProtobufCMessage *proto = NULL;
    assert_int_equal(wire_body_encode(wire_layout_of(type), &message.rank_open, &scratch, &proto),
                     CKPT_OK);
    return proto;
}

static enum ckpt_status decode_proto(enum message_type type, const ProtobufCMessage *proto,
                                     const char **reason_out)
{
    size_t bytes = protobuf_c_message_get_packed_size(proto);
    assert_true(bytes <= CKPT_FRAME_BODY_MAX);
    uint8_t *frame = sample_buffer();
    protobuf_c_message_pack(proto, frame + FRAME_HEADER_BYTES);
    const struct frame_header header = {
        .version = WIRE_PROTOCOL_VERSION, .type = (uint16_t)type, .body_bytes = (uint32_t)bytes};
    assert_int_equal(frame_encode_header(&header, frame + FRAME_HEADER_BYTES, frame), CKPT_OK);
    struct message got;
    struct message pattern;
    memset(&got, 0x5a, sizeof(got));
    memset(&pattern, 0x5a, sizeof(pattern));
    struct message_scratch *scratch = sample_scratch();
    enum ckpt_status status = message_decode(frame, FRAME_HEADER_BYTES + bytes, scratch, &got);
    if (status != CKPT_OK) {
        assert_memory_equal(&got, &pattern, sizeof(got));
    }
    *reason_out = scratch->reason;
    return status;
}

/* The field of one mutation of a message: where it is, and the message around it. */
struct target {
    enum message_type type;
    const struct wire_layout *layout;
    const struct wire_field *field;
    uint8_t *proto;               /* the struct that holds the field */
    const ProtobufCMessage *root; /* the message */
    unsigned mutations;
};

static void expect_refused(struct target *t)
{
    const char *reason;
    char wanted[128];
    enum ckpt_status status = decode_proto(t->type, t->root, &reason);
    (void)snprintf(wanted, sizeof(wanted), "%s.%s ", t->layout->name, t->field->name);
    if (status != CKPT_ERR_PROTOCOL || strncmp(reason, wanted, strlen(wanted)) != 0) {
        fail_msg("%s%s: %d, %s", wanted, message_type_name(t->type), (int)status, reason);
    }
    t->mutations++;
}

static void put_number(struct target *t, uint32_t value)
{
    memcpy(t->proto + t->field->proto_offset, &value, sizeof(value));
    expect_refused(t);
}

static void put_bytes(struct target *t, size_t offset, void *bytes, size_t length)
{
    ProtobufCBinaryData data = {.len = length, .data = bytes};
    memcpy(t->proto + offset, &data, sizeof(data));
    expect_refused(t);
}

static void put_list(struct target *t, void *list, size_t count)
{
    memcpy(t->proto + t->field->proto_offset, &list, sizeof(list));
    memcpy(t->proto + t->field->proto_count, &count, sizeof(count));
    expect_refused(t);
}

static void break_text(struct target *t)
{
    size_t offset = t->field->proto_offset;
    put_bytes(t, offset, letters, t->field->max + 1);
    put_bytes(t, offset, (char[]){'a', '\0', 'b'}, 3);
    put_bytes(t, offset, (char[]){'\0'}, 1);
    if (!t->field->may_be_empty) {
        put_bytes(t, offset, NULL, 0);
    }
    if (t->field->kind == WIRE_NAME) {
        put_bytes(t, offset, (char[]){'a', ' ', 'b'}, 3);
        put_bytes(t, offset, (char[]){'.', '.', '/', 'b'}, 4);
    }
}

static void break_list(struct target *t)
{
    static uint32_t ids[CKPT_SEGMENTS_PER_SHARD_MAX + 1];
    static ProtobufCBinaryData regions[CKPT_SEGMENTS_PER_SHARD_MAX + 1];
    memset(ids, 0, sizeof(ids));
    static uint64_t numbers[3 * (CKPT_RANGES_MAX + 1)];
    memset(regions, 0, sizeof(regions));
    if (t->field->kind == WIRE_IDS) {
        put_list(t, ids, CKPT_SEGMENTS_PER_SHARD_MAX + 1);
        ids[1] = CKPT_ARENA_IDS_MAX;
        put_list(t, ids, 2);
        ids[1] = UINT16_MAX + 1; /* must not wrap to 0 */
        put_list(t, ids, 2);
    } else if (t->field->kind == WIRE_RANGES) {
        put_list(t, numbers, sizeof(numbers) / sizeof(numbers[0]));
        put_list(t, numbers, 1);
        put_list(t, numbers, 3 * CKPT_RANGES_MAX - 1);
    } else {
        put_list(t, regions, CKPT_SEGMENTS_PER_SHARD_MAX + 1);
        regions[1] = (ProtobufCBinaryData){.len = CKPT_DESCRIPTOR_MAX + 1, .data = letters};
        put_list(t, regions, 2);
    }
}

static void break_proto(struct target *t)
{
    const struct wire_field *field = t->field;
    switch (field->kind) {
    case WIRE_U32:
        if (field->max < UINT32_MAX) {
            put_number(t, (uint32_t)field->max + 1);
            put_number(t, UINT32_MAX);
        }
        return;
    case WIRE_ENUM:
        put_number(t, 1000);
        put_number(t, UINT32_MAX);
        return;
    case WIRE_U64:
    case WIRE_BOOL:
    case WIRE_NESTED:
        return;
    case WIRE_TEXT:
    case WIRE_NAME:
        break_text(t);
        return;
    case WIRE_FIXED:
        put_bytes(t, field->proto_offset, letters, field->max + 1);
        put_bytes(t, field->proto_offset, letters, field->max - 1);
        if (!field->may_be_empty) {
            put_bytes(t, field->proto_offset, NULL, 0);
        }
        return;
    case WIRE_JSON:
        put_bytes(t, field->proto_offset, (char[]){'{', '\0', '}'}, 3);
        put_bytes(t, field->proto_offset, letters, field->max + 1);
        return;
    case WIRE_BYTES:
        put_bytes(t, field->proto_offset, letters, field->max + 1);
        return;
    case WIRE_IDS:
    case WIRE_REGIONS:
    case WIRE_RANGES:
        break_list(t);
        return;
    }
}

/* Breaks each field of the layout in turn, each time in a fresh message;
 * path leads to the struct. */
static unsigned break_each(enum message_type type, const struct wire_layout *layout,
                           const uint16_t *path, size_t depth)
{
    unsigned mutations = 0;
    for (size_t i = 0; i < layout->field_count; i++) {
        ProtobufCMessage *root = good_proto(type);
        uint8_t *proto = (uint8_t *)root;
        for (size_t step = 0; step < depth; step++) {
            memcpy(&proto, proto + path[step], sizeof(proto));
        }
        struct target t = {.type = type,
                           .layout = layout,
                           .field = &layout->fields[i],
                           .proto = proto,
                           .root = root};
        break_proto(&t);
        mutations += t.mutations;
        if (t.field->kind == WIRE_NESTED) {
            uint16_t longer[4];
            assert_true(depth < 4);
            if (depth > 0) {
                memcpy(longer, path, depth * sizeof(*path));
            }
            longer[depth] = t.field->proto_offset;
            mutations += break_each(type, t.field->nested, longer, depth + 1);
        }
    }
    return mutations;
}

static void test_wire(void **state)
{
    (void)state;
    unsigned mutations = 0;
    for (size_t i = 0; i < sample_type_count; i++) {
        const char *reason;
        assert_int_equal(decode_proto(sample_types[i], good_proto(sample_types[i]), &reason),
                         CKPT_OK);
        mutations += break_each(sample_types[i], wire_layout_of(sample_types[i]), NULL, 0);
    }
    assert_true(mutations > 200);
}

/* An absent message is empty: refused where a shard must be named, taken where it need not. */
static void test_absent_nested(void **state)
{
    (void)state;
    const char *reason;
    Ckpt__Wire__ShardReport *report = (void *)good_proto(MESSAGE_SHARD_REPORT);
    report->shard = NULL;
    assert_int_equal(decode_proto(MESSAGE_SHARD_REPORT, &report->base, &reason), CKPT_ERR_PROTOCOL);
    assert_string_equal(reason, "run_key.name is empty");
    Ckpt__Wire__LoadVerdict *verdict = (void *)good_proto(MESSAGE_LOAD_VERDICT);
    verdict->shard = NULL;
    assert_int_equal(decode_proto(MESSAGE_LOAD_VERDICT, &verdict->base, &reason), CKPT_OK);
}

/* ---- in the struct ---- */

static void expect_not_encoded(const struct message *message, const char *reason_wanted)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    size_t bytes = 4242;
    assert_int_equal(message_check(message, reason), CKPT_ERR_INVALID);
    assert_string_equal(reason, reason_wanted);
    assert_int_equal(message_encode(message, sample_buffer(), FRAME_BYTES_MAX, &bytes),
                     CKPT_ERR_INVALID);
    assert_int_equal(bytes, 4242);
}

static void test_struct_numbers(void **state)
{
    (void)state;
    struct message message;
    sample_fill(MESSAGE_SHARD_REPORT, SAMPLE_GREATEST, &message);
    message.shard_report.world = CKPT_WORLD_MAX + 1;
    expect_not_encoded(&message, "shard_report.world is 65537, above 65536");
    sample_fill(MESSAGE_SHARD_REPORT, SAMPLE_GREATEST, &message);
    message.shard_report.shard.rank = CKPT_WORLD_MAX;
    expect_not_encoded(&message, "shard_key.rank is 65536, above 65535");
    sample_fill(MESSAGE_SHARD_REPORT, SAMPLE_GREATEST, &message);
    message.shard_report.state = (enum copy_state)4;
    expect_not_encoded(&message, "shard_report.state is 4, which is no known value");
    sample_fill(MESSAGE_WELCOME, SAMPLE_GREATEST, &message);
    message.welcome.status = (enum ckpt_status)19;
    expect_not_encoded(&message, "welcome.status is 19, which is no known value");
    sample_fill(MESSAGE_ADMIN_ASK, SAMPLE_GREATEST, &message);
    message.admin_ask.verb = (enum admin_verb)0;
    expect_not_encoded(&message, "admin_ask.verb is 0, which is no known value");
}

static void test_struct_texts(void **state)
{
    (void)state;
    struct message message;
    sample_fill(MESSAGE_JOIN, SAMPLE_GREATEST, &message);
    message.join.address[CKPT_ADDRESS_MAX] = 'x';
    expect_not_encoded(&message, "join.address has no end");
    sample_fill(MESSAGE_JOIN, SAMPLE_GREATEST, &message);
    message.join.node[0] = '\0';
    expect_not_encoded(&message, "join.node is empty");
    sample_fill(MESSAGE_RANK_OPEN, SAMPLE_GREATEST, &message);
    message.rank_open.run[CKPT_RUN_NAME_MAX - 1] = '\n';
    expect_not_encoded(&message, "rank_open.run is no valid name");
}

static void test_struct_lists(void **state)
{
    (void)state;
    static uint16_t ids[CKPT_SEGMENTS_PER_SHARD_MAX + 1];
    static struct message_region regions[CKPT_SEGMENTS_PER_SHARD_MAX + 1];
    struct message message;
    sample_fill(MESSAGE_SLOT_GRANTED, SAMPLE_GREATEST, &message);
    message.slot_granted.segments = ids;
    message.slot_granted.segment_count = CKPT_SEGMENTS_PER_SHARD_MAX + 1;
    expect_not_encoded(&message, "slot_granted.segments has 1025 elements or bytes, above 1024");
    ids[0] = CKPT_ARENA_IDS_MAX;
    message.slot_granted.segment_count = 1;
    expect_not_encoded(&message, "slot_granted.segments names a segment beyond any arena");

    sample_fill(MESSAGE_OFFER, SAMPLE_GREATEST, &message);
    message.offer.regions = regions;
    message.offer.region_count = CKPT_SEGMENTS_PER_SHARD_MAX + 1;
    expect_not_encoded(&message, "offer.regions has 1025 elements or bytes, above 1024");
    regions[0] = (struct message_region){CKPT_DESCRIPTOR_MAX + 1, letters};
    message.offer.region_count = 1;
    expect_not_encoded(&message, "offer.regions has 513 elements or bytes, above 512");
    sample_fill(MESSAGE_GATHER, SAMPLE_GREATEST, &message);
    message.gather.range_count = CKPT_RANGES_MAX + 1;
    expect_not_encoded(&message, "gather.ranges has 513 elements or bytes, above 512");

    sample_fill(MESSAGE_OFFER, SAMPLE_GREATEST, &message);
    message.offer.worker_address_bytes = CKPT_WORKER_ADDRESS_MAX + 1;
    expect_not_encoded(&message, "offer.worker_address has 4097 elements or bytes, above 4096");

    sample_fill(MESSAGE_ADMIN_ANSWER, SAMPLE_GREATEST, &message);
    message.admin_answer.json = (const char *)letters;
    message.admin_answer.json_bytes = MESSAGE_JSON_MAX + 1;
    expect_not_encoded(&message, "admin_answer.json has 4193281 elements or bytes, above 4193280");
    message.admin_answer.json = "{\0}";
    message.admin_answer.json_bytes = 3;
    expect_not_encoded(&message, "admin_answer.json has a NUL inside");
}

int main(void)
{
    memset(letters, 'a', sizeof(letters));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire),           cmocka_unit_test(test_absent_nested),
        cmocka_unit_test(test_struct_numbers), cmocka_unit_test(test_struct_texts),
        cmocka_unit_test(test_struct_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
