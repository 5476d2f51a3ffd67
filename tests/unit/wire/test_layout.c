/* SPDX-License-Identifier: Apache-2.0 */
/* The rows are complete: each byte of a struct that is not padding, and each field of
 * control.proto, belongs to exactly one row. The other tests make their messages from the rows and
 * rest on this. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "unit/wire/sample.h"

static void check_proto(const struct wire_layout *layout)
{
    const ProtobufCMessageDescriptor *proto = layout->proto;
    assert_int_equal(proto->n_fields, layout->field_count);
    for (unsigned i = 0; i < proto->n_fields; i++) {
        unsigned rows = 0;
        for (size_t row = 0; row < layout->field_count; row++) {
            const struct wire_field *field = &layout->fields[row];
            if (field->proto_offset == proto->fields[i].offset) {
                assert_string_equal(field->name, proto->fields[i].name);
                rows++;
            }
        }
        if (rows != 1) {
            fail_msg("%s.%s has %u rows", layout->name, proto->fields[i].name, rows);
        }
    }
}

static void test_proto_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sample_type_count; i++) {
        check_proto(wire_layout_of(sample_types[i]));
    }
    check_proto(&wire_layout_run_key);
    check_proto(&wire_layout_run_key_or_empty);
    check_proto(&wire_layout_shard_key);
    check_proto(&wire_layout_shard_key_or_empty);
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
#define CAN_CLEAR_PADDING 1
#endif
#endif

#ifdef CAN_CLEAR_PADDING
static void set_all_but_padding(enum message_type type, struct message *message)
{
    memset(message, 0xff, sizeof(*message));
    switch (type) {
    case MESSAGE_NONE:
        break;
#define CLEAR(type, noun, member)                                                                  \
    case type:                                                                                     \
        __builtin_clear_padding(&message->member);                                                 \
        break;
#define KEEP(type, noun)                                                                           \
    case type:                                                                                     \
        break;
        MESSAGE_TYPE_TABLE(CLEAR, KEEP)
#undef CLEAR
#undef KEEP
    }
}

/* Zeroes what the row covers, which must be as it was. */
static void cover(uint8_t *body, size_t offset, size_t bytes)
{
    for (size_t i = offset; i < offset + bytes; i++) {
        assert_int_not_equal(body[i], 0);
        body[i] = 0;
    }
}

static void test_struct_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sample_type_count; i++) {
        const struct wire_layout *layout = wire_layout_of(sample_types[i]);
        struct message message;
        set_all_but_padding(sample_types[i], &message);
        uint8_t *body = (uint8_t *)&message.rank_open;
        for (size_t row = 0; row < layout->field_count; row++) {
            const struct wire_field *field = &layout->fields[row];
            if (field->kind == WIRE_NESTED) {
                /* Padding inside stays zero: set it, so that it counts as covered. */
                memset(body + field->body_offset, 0xff, sample_field_bytes(field));
            }
            cover(body, field->body_offset, sample_field_bytes(field));
            if (field->body_count != 0) {
                cover(body, field->body_count, sizeof(uint32_t));
            }
        }
        for (size_t byte = 0; byte < layout->body_bytes; byte++) {
            if (body[byte] != 0) {
                fail_msg("byte %zu of %s has no row", byte, layout->name);
            }
        }
    }
}

static void check_key(const struct wire_layout *layout, uint8_t *key)
{
    for (size_t row = 0; row < layout->field_count; row++) {
        const struct wire_field *field = &layout->fields[row];
        cover(key, field->body_offset, sample_field_bytes(field));
    }
    for (size_t byte = 0; byte < layout->body_bytes; byte++) {
        assert_int_equal(key[byte], 0);
    }
}

static void test_key_bytes(void **state)
{
    (void)state;
    struct run_key run;
    struct shard_key shard;
    const struct wire_layout *runs[] = {&wire_layout_run_key, &wire_layout_run_key_or_empty};
    const struct wire_layout *shards[] = {&wire_layout_shard_key, &wire_layout_shard_key_or_empty};
    for (size_t i = 0; i < 2; i++) {
        memset(&run, 0xff, sizeof(run));
        __builtin_clear_padding(&run);
        check_key(runs[i], (uint8_t *)&run);
        memset(&shard, 0xff, sizeof(shard));
        __builtin_clear_padding(&shard);
        check_key(shards[i], (uint8_t *)&shard);
    }
}
#endif

/* The numbers of our enums are those of control.proto. */
static void check_enum(const ProtobufCEnumDescriptor *proto, bool (*is_known)(uint32_t),
                       bool zero_is_refused)
{
    unsigned known = 0;
    for (uint32_t value = 0; value < 1000; value++) {
        bool in_proto = protobuf_c_enum_descriptor_get_value(proto, (int)value) != NULL;
        bool wanted = in_proto && !(value == 0 && zero_is_refused);
        assert_int_equal(is_known(value), wanted);
        known += wanted;
    }
    assert_int_equal(known, proto->n_values - zero_is_refused);
    assert_false(is_known(UINT32_MAX));
}

static void check_name(const ProtobufCEnumDescriptor *proto, int value, const char *name)
{
    const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(proto, value);
    assert_non_null(found);
    assert_string_equal(found->name, name);
}

static void test_enums(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *states = &ckpt__wire__checkpoint_state__descriptor;
    const ProtobufCEnumDescriptor *tiers = &ckpt__wire__checkpoint_tier__descriptor;
    const ProtobufCEnumDescriptor *copies = &ckpt__wire__copy_state__descriptor;
    const ProtobufCEnumDescriptor *purposes = &ckpt__wire__pull_purpose__descriptor;
    const ProtobufCEnumDescriptor *verbs = &ckpt__wire__admin_verb__descriptor;
    check_enum(states, wire_checkpoint_state_is_known, false);
    check_enum(tiers, wire_checkpoint_tier_is_known, false);
    check_enum(copies, wire_copy_state_is_known, false);
    check_enum(purposes, wire_pull_purpose_is_known, false);
    check_enum(verbs, wire_admin_verb_is_known, true);
    check_name(states, CHECKPOINT_CONSISTENT, "CHECKPOINT_STATE_CONSISTENT");
    check_name(tiers, CHECKPOINT_TIER_WHOLE, "CHECKPOINT_TIER_WHOLE");
    check_name(tiers, CHECKPOINT_TIER_PASSED, "CHECKPOINT_TIER_PASSED");
    check_name(states, CHECKPOINT_RETIRED, "CHECKPOINT_STATE_RETIRED");
    check_name(copies, COPY_ADOPTED, "COPY_STATE_ADOPTED");
    check_name(copies, COPY_VERIFIED, "COPY_STATE_VERIFIED");
    check_name(purposes, PULL_FETCH, "PULL_PURPOSE_FETCH");
    check_name(verbs, ADMIN_STATUS, "ADMIN_VERB_STATUS");
    check_name(verbs, ADMIN_PLACEMENT, "ADMIN_VERB_PLACEMENT");
    assert_true(wire_status_is_known(CKPT_ERR_INTERNAL));
    assert_false(wire_status_is_known(CKPT_ERR_INTERNAL + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proto_fields),
#ifdef CAN_CLEAR_PADDING
        cmocka_unit_test(test_struct_bytes),
        cmocka_unit_test(test_key_bytes),
#endif
        cmocka_unit_test(test_enums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
