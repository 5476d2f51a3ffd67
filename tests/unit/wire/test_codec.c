/* SPDX-License-Identifier: Apache-2.0 */
/* Every type there and back; every cut and every flipped bit refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "unit/wire/sample.h"

static size_t encode(enum message_type type, enum sample_variant variant, struct message *message)
{
    size_t bytes = 0;
    sample_fill(type, variant, message);
    char reason[CKPT_REASON_MAX + 1] = "";
    if (message_check(message, reason) != CKPT_OK) {
        fail_msg("%s: %s", message_type_name(type), reason);
    }
    assert_int_equal(message_encode(message, sample_buffer(), FRAME_BYTES_MAX, &bytes), CKPT_OK);
    return bytes;
}

static void test_round_trip(void **state)
{
    (void)state;
    assert_true(sample_type_count >= 30);
    for (size_t i = 0; i < sample_type_count; i++) {
        for (int variant = 0; variant < SAMPLE_VARIANTS; variant++) {
            struct message sent;
            struct message got;
            size_t bytes = encode(sample_types[i], (enum sample_variant)variant, &sent);
            assert_true(bytes <= message_frame_bytes_max(sent.type));
            memset(&got, 0x5a, sizeof(got));
            struct message_scratch *scratch = sample_scratch();
            enum ckpt_status status = message_decode(sample_buffer(), bytes, scratch, &got);
            if (status != CKPT_OK || !sample_equal(&sent, &got)) {
                fail_msg("%s, variant %d: %d, %s", message_type_name(sent.type), variant,
                         (int)status, scratch->reason);
            }
        }
    }
}

/* The documented scratch is enough, and less than the lists need is refused, not overrun. */
static void test_scratch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sample_type_count; i++) {
        struct message sent;
        struct message got;
        size_t bytes = encode(sample_types[i], SAMPLE_GREATEST, &sent);
        size_t capacity = MESSAGE_SCRATCH_BYTES(bytes - FRAME_HEADER_BYTES);
        uint8_t *memory = malloc(capacity);
        assert_non_null(memory);
        struct message_scratch scratch;
        message_scratch_init(&scratch, memory, capacity);
        assert_int_equal(message_decode(sample_buffer(), bytes, &scratch, &got), CKPT_OK);
        size_t used = scratch.used;
        assert_true(used > 0 && used <= capacity);
        for (size_t less = 0; less < used; less += 1 + used / 97) {
            uint8_t *small = malloc(less == 0 ? 1 : less);
            assert_non_null(small);
            message_scratch_init(&scratch, small, less);
            struct message untouched;
            memset(&untouched, 0x5a, sizeof(untouched));
            struct message pattern = untouched;
            /* malloc() aligns, so the same takes fail in the same places. */
            assert_int_equal(message_decode(sample_buffer(), bytes, &scratch, &untouched),
                             CKPT_ERR_TOO_LARGE);
            assert_memory_equal(&untouched, &pattern, sizeof(pattern));
            assert_true(scratch.reason[0] != '\0');
            free(small);
        }
        free(memory);
    }
}

static void test_capacity(void **state)
{
    (void)state;
    for (size_t i = 0; i < sample_type_count; i++) {
        struct message message;
        size_t bytes = encode(sample_types[i], SAMPLE_PATTERN, &message);
        uint8_t *exact = malloc(bytes);
        assert_non_null(exact);
        size_t written = 12345;
        for (size_t capacity = 0; capacity < bytes; capacity++) {
            assert_int_equal(message_encode(&message, exact, capacity, &written),
                             CKPT_ERR_TOO_LARGE);
            assert_int_equal(written, 12345);
        }
        assert_int_equal(message_encode(&message, exact, bytes, &written), CKPT_OK);
        assert_int_equal(written, bytes);
        assert_memory_equal(exact, sample_buffer(), bytes);
        free(exact);
    }
}

/* From a copy that ends where nothing can be read, so that a read beyond it is seen, in protobuf-c
 * too. */
static enum ckpt_status decode_exact(const uint8_t *frame, size_t bytes)
{
    static uint8_t *pages;
    const size_t room = 64 * CKPT_KIB;
    struct message got;
    if (pages == NULL) {
        pages = mmap(NULL, 2 * room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(pages, MAP_FAILED);
        assert_int_equal(mprotect(pages + room, room, PROT_NONE), 0);
    }
    assert_true(bytes <= room);
    uint8_t *exact = pages + room - bytes;
    memcpy(exact, frame, bytes);
    struct message_scratch *scratch = sample_scratch();
    enum ckpt_status status = message_decode(exact, bytes, scratch, &got);
    if (status != CKPT_OK) {
        assert_true(scratch->reason[0] != '\0');
    }
    return status;
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sample_type_count; i++) {
        struct message message;
        size_t bytes = encode(sample_types[i], SAMPLE_PATTERN, &message);
        for (size_t cut = 0; cut < bytes; cut++) {
            assert_int_equal(decode_exact(sample_buffer(), cut), CKPT_ERR_PROTOCOL);
        }
        assert_int_equal(decode_exact(sample_buffer(), bytes), CKPT_OK);
        assert_int_equal(decode_exact(sample_buffer(), bytes + 1), CKPT_ERR_PROTOCOL);
        bytes = encode(sample_types[i], SAMPLE_GREATEST, &message);
        struct message_scratch *scratch = sample_scratch();
        for (size_t cut = 0; cut < bytes; cut++) {
            assert_int_equal(message_decode(sample_buffer(), cut, scratch, &message),
                             CKPT_ERR_PROTOCOL);
        }
    }
}

/* A cut body under a header that agrees with it: the codec alone must stand it. Cutting between two
 * fields gives a shorter message that is right in itself. */
static void test_truncated_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < sample_type_count; i++) {
        struct message message;
        size_t bytes = encode(sample_types[i], SAMPLE_PATTERN, &message);
        static uint8_t cut_frame[FRAME_BYTES_MAX];
        size_t refused = 0;
        for (size_t body = 0; body < bytes - FRAME_HEADER_BYTES; body++) {
            const struct frame_header header = {.version = WIRE_PROTOCOL_VERSION,
                                                .type = (uint16_t)message.type,
                                                .body_bytes = (uint32_t)body};
            memcpy(cut_frame, sample_buffer(), FRAME_HEADER_BYTES + body);
            assert_int_equal(
                frame_encode_header(&header, cut_frame + FRAME_HEADER_BYTES, cut_frame), CKPT_OK);
            enum ckpt_status status = decode_exact(cut_frame, FRAME_HEADER_BYTES + body);
            assert_true(status == CKPT_OK || status == CKPT_ERR_PROTOCOL);
            refused += status != CKPT_OK;
        }
        assert_true(refused > 0 || bytes == FRAME_HEADER_BYTES);
    }
}

static void test_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sample_type_count; i++) {
        struct message message;
        size_t bytes = encode(sample_types[i], SAMPLE_PATTERN, &message);
        uint8_t *frame = sample_buffer();
        for (size_t bit = 0; bit < 8 * bytes; bit++) {
            frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct message got;
            enum ckpt_status status = message_decode(frame, bytes, sample_scratch(), &got);
            size_t byte = bit / 8;
            if (byte < 4) {
                assert_int_equal(status, CKPT_ERR_PROTOCOL);
            } else if (byte < 6) {
                assert_int_equal(status, CKPT_ERR_VERSION);
            } else if (byte >= 8 && byte < 12) {
                assert_true(status == CKPT_ERR_PROTOCOL || status == CKPT_ERR_TOO_LARGE);
            } else {
                assert_int_equal(status, CKPT_ERR_CORRUPT);
            }
            frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(decode_exact(frame, bytes), CKPT_OK);
    }
}

static void test_unknown_type(void **state)
{
    (void)state;
    struct message message = {.type = MESSAGE_NONE};
    size_t bytes = 77;
    char reason[CKPT_REASON_MAX + 1];
    assert_int_equal(message_encode(&message, sample_buffer(), FRAME_BYTES_MAX, &bytes),
                     CKPT_ERR_INVALID);
    assert_int_equal(message_check(&message, reason), CKPT_ERR_INVALID);
    assert_string_equal(reason, "there is no message type 0");
    assert_int_equal(bytes, 77);
    for (uint32_t type = 0; type <= UINT16_MAX; type++) {
        bool known = message_frame_bytes_max((enum message_type)type) != 0;
        const struct frame_header header = {.version = WIRE_PROTOCOL_VERSION,
                                            .type = (uint16_t)type};
        assert_int_equal(frame_encode_header(&header, NULL, sample_buffer()), CKPT_OK);
        if (!known) {
            assert_int_equal(decode_exact(sample_buffer(), FRAME_HEADER_BYTES), CKPT_ERR_PROTOCOL);
            assert_string_equal(message_type_name((enum message_type)type), "unknown");
        }
    }
    assert_string_equal(message_type_name(MESSAGE_SHARD_REPORT), "shard_report");
}

/* A later version of one protocol number may add fields; and a body full of them costs no memory
 * that the caller did not give. */
static void test_unknown_fields(void **state)
{
    (void)state;
    struct message sent;
    struct message got;
    size_t bytes = encode(MESSAGE_SHARD_REPORT, SAMPLE_PATTERN, &sent);
    uint8_t *frame = sample_buffer();
    static const uint8_t unknown[] = {0xfa, 0x7f, 0x03, 'n', 'e', 'w'}; /* number 2047 */
    memcpy(frame + bytes, unknown, sizeof(unknown));
    struct frame_header header;
    assert_int_equal(frame_decode_header(frame, bytes, &header, NULL), CKPT_OK);
    header.body_bytes += (uint32_t)sizeof(unknown);
    assert_int_equal(frame_encode_header(&header, frame + FRAME_HEADER_BYTES, frame), CKPT_OK);
    bytes += sizeof(unknown);
    assert_int_equal(message_decode(frame, bytes, sample_scratch(), &got), CKPT_OK);
    assert_true(sample_equal(&sent, &got));

    header.body_bytes = CKPT_FRAME_BODY_MAX;
    for (size_t i = 0; i < CKPT_FRAME_BODY_MAX; i += 2) {
        frame[FRAME_HEADER_BYTES + i] = 0x78; /* number 15, a varint */
        frame[FRAME_HEADER_BYTES + i + 1] = 1;
    }
    assert_int_equal(frame_encode_header(&header, frame + FRAME_HEADER_BYTES, frame), CKPT_OK);
    assert_int_equal(message_decode(frame, FRAME_BYTES_MAX, sample_scratch(), &got),
                     CKPT_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_capacity),       cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_truncated_body), cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_unknown_type),   cmocka_unit_test(test_unknown_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
