/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "wire/frame.h"
#include "wire/message.h"

static const uint8_t body[] = {1, 2, 3};

static struct frame_header sample_header(void)
{
    struct frame_header header = {
        .version = 1,
        .type = 0x0203,
        .body_bytes = sizeof(body),
        .epoch = 0x1112131415161718,
        .sequence = 0x2122232425262728,
    };
    for (uint8_t i = 0; i < INCARNATION_BYTES; i++) {
        header.incarnation.bytes[i] = (uint8_t)(0xa0 + i);
    }
    return header;
}

/* The CRC at the end was computed apart from this room, bit by bit from RFC 3720's polynomial. */
static const uint8_t golden[FRAME_HEADER_BYTES] = {
    'C',  'K',  'P',  'T',  0x01, 0x00, 0x03, 0x02, 0x03, 0x00, 0x00, 0x00, 0x18, 0x17, 0x16, 0x15,
    0x14, 0x13, 0x12, 0x11, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab,
    0xac, 0xad, 0xae, 0xaf, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x76, 0xc4, 0x80, 0x51,
};

static void make_frame(uint8_t frame[FRAME_HEADER_BYTES + sizeof(body)])
{
    struct frame_header header = sample_header();
    memcpy(frame + FRAME_HEADER_BYTES, body, sizeof(body));
    assert_int_equal(frame_encode_header(&header, body, frame), CKPT_OK);
}

static void test_golden(void **state)
{
    (void)state;
    uint8_t frame[FRAME_HEADER_BYTES + sizeof(body)];
    make_frame(frame);
    assert_memory_equal(frame, golden, FRAME_HEADER_BYTES);
}

static void test_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[1 + FRAME_HEADER_BYTES + sizeof(body)];
    uint8_t *frame = bytes + 1; /* at an odd address */
    make_frame(frame);
    struct frame_header sent = sample_header();
    struct frame_header got;
    assert_int_equal(frame_check(frame, sizeof(bytes) - 1, &got, NULL), CKPT_OK);
    assert_int_equal(got.version, sent.version);
    assert_int_equal(got.type, sent.type);
    assert_int_equal(got.body_bytes, sent.body_bytes);
    assert_true(got.epoch == sent.epoch);
    assert_true(got.sequence == sent.sequence);
    assert_true(incarnation_equal(&got.incarnation, &sent.incarnation));
}

/* Decodes, and checks that a failure leaves the header alone and gives a reason. */
static enum ckpt_status check(const uint8_t *frame, size_t bytes, char reason[CKPT_REASON_MAX + 1])
{
    struct frame_header header;
    struct frame_header pattern;
    memset(&header, 0x5a, sizeof(header));
    memset(&pattern, 0x5a, sizeof(pattern));
    reason[0] = '\0';
    enum ckpt_status status = frame_check(frame, bytes, &header, reason);
    if (status != CKPT_OK) {
        assert_memory_equal(&header, &pattern, sizeof(header));
        assert_true(reason[0] != '\0');
        assert_int_equal(frame_check(frame, bytes, &header, NULL), status);
    }
    return status;
}

static void test_refused(void **state)
{
    (void)state;
    char reason[CKPT_REASON_MAX + 1];
    uint8_t frame[FRAME_HEADER_BYTES + sizeof(body)];
    make_frame(frame);
    assert_int_equal(check(frame, sizeof(frame), reason), CKPT_OK);
    for (size_t cut = 0; cut < sizeof(frame); cut++) {
        assert_int_equal(check(frame, cut, reason), CKPT_ERR_PROTOCOL);
    }
    memcpy(frame, "GET ", 4);
    assert_int_equal(check(frame, sizeof(frame), reason), CKPT_ERR_PROTOCOL);
    assert_non_null(strstr(reason, "47 45 54 20"));

    make_frame(frame);
    store_le16(frame + 4, 7);
    assert_int_equal(check(frame, sizeof(frame), reason), CKPT_ERR_VERSION);
    assert_non_null(strstr(reason, "version 7"));
    assert_int_equal(frame_version(frame), 7);
    /* Nothing but the first six bytes is needed to tell. */
    assert_int_equal(check(frame, FRAME_VERSION_BYTES, reason), CKPT_ERR_VERSION);

    make_frame(frame);
    store_le32(frame + 8, CKPT_FRAME_BODY_MAX + 1);
    assert_int_equal(check(frame, sizeof(frame), reason), CKPT_ERR_TOO_LARGE);
    store_le32(frame + 8, UINT32_MAX);
    assert_int_equal(check(frame, sizeof(frame), reason), CKPT_ERR_TOO_LARGE);
    store_le32(frame + 8, CKPT_FRAME_BODY_MAX);
    assert_int_equal(check(frame, sizeof(frame), reason), CKPT_ERR_PROTOCOL);
}

static void test_crc_covers_all(void **state)
{
    (void)state;
    char reason[CKPT_REASON_MAX + 1];
    uint8_t frame[FRAME_HEADER_BYTES + sizeof(body)];
    make_frame(frame);
    for (size_t i = offsetof(struct frame_bytes, type); i < sizeof(frame); i++) {
        if (i >= offsetof(struct frame_bytes, body_bytes) &&
            i < offsetof(struct frame_bytes, epoch)) {
            continue; /* a wrong length is refused before the CRC */
        }
        for (unsigned bit = 0; bit < 8; bit++) {
            frame[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(check(frame, sizeof(frame), reason), CKPT_ERR_CORRUPT);
            frame[i] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(check(frame, sizeof(frame), reason), CKPT_OK);
}

static void test_encode_too_large(void **state)
{
    (void)state;
    struct frame_header header = sample_header();
    uint8_t bytes[FRAME_HEADER_BYTES];
    uint8_t pattern[FRAME_HEADER_BYTES];
    memset(bytes, 0x5a, sizeof(bytes));
    memset(pattern, 0x5a, sizeof(pattern));
    header.body_bytes = CKPT_FRAME_BODY_MAX + 1;
    assert_int_equal(frame_encode_header(&header, body, bytes), CKPT_ERR_TOO_LARGE);
    assert_memory_equal(bytes, pattern, sizeof(bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),           cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_crc_covers_all),
        cmocka_unit_test(test_encode_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
