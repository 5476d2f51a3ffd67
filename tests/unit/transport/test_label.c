/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/label.h"

static const struct label sample = {.kind = LABEL_REGION,
                                    .backend = LABEL_UCX,
                                    .transport = 0x0102030405060708,
                                    .region = 0x11,
                                    .generation = 0x22,
                                    .bytes = 0x33,
                                    .payload = (const uint8_t *)"key",
                                    .payload_bytes = 3};

static void test_golden(void **state)
{
    static const uint8_t fixed[] = {0x43, 0x4b, 0x50, 0x4c, 1, 0, 1, 2, 8, 7,    6, 5, 4, 3, 2,
                                    1,    0x11, 0,    0,    0, 0, 0, 0, 0, 0x22, 0, 0, 0, 0, 0,
                                    0,    0,    0x33, 0,    0, 0, 0, 0, 0, 0,    3, 0, 0, 0};
    uint8_t out[64];
    size_t bytes = 0;

    (void)state;
    assert_int_equal(label_encode(&sample, out, sizeof(out), &bytes), CKPT_OK);
    assert_int_equal(bytes, LABEL_HEADER_BYTES + 3);
    assert_memory_equal(out, fixed, sizeof(fixed));
    assert_memory_equal(out + LABEL_HEADER_BYTES, "key", 3);
}

static void test_round_trip(void **state)
{
    uint8_t out[64];
    size_t bytes = 0;
    struct label label;

    (void)state;
    assert_int_equal(label_encode(&sample, out, sizeof(out), &bytes), CKPT_OK);
    assert_int_equal(label_decode(out, bytes, LABEL_REGION, LABEL_UCX, &label), CKPT_OK);
    assert_int_equal(label.transport, sample.transport);
    assert_int_equal(label.region, sample.region);
    assert_int_equal(label.generation, sample.generation);
    assert_int_equal(label.bytes, sample.bytes);
    assert_int_equal(label.payload_bytes, 3);
    assert_memory_equal(label.payload, "key", 3);
    assert_int_equal(label_decode(out, bytes, LABEL_ADDRESS, LABEL_UCX, &label), CKPT_ERR_PROTOCOL);
    assert_int_equal(label_decode(out, bytes, LABEL_REGION, LABEL_LOOP, &label), CKPT_ERR_PROTOCOL);
}

static void test_limits(void **state)
{
    uint8_t out[64];
    size_t bytes = 99;

    (void)state;
    assert_int_equal(label_encode(&sample, out, LABEL_HEADER_BYTES + 2, &bytes),
                     CKPT_ERR_TOO_LARGE);
    assert_int_equal(bytes, 99);
    assert_int_equal(label_encode(&sample, out, LABEL_HEADER_BYTES + 3, &bytes), CKPT_OK);
}

static void test_version(void **state)
{
    uint8_t out[64];
    size_t bytes = 0;
    struct label label;

    (void)state;
    assert_int_equal(label_encode(&sample, out, sizeof(out), &bytes), CKPT_OK);
    out[4] = LABEL_VERSION + 1;
    assert_int_equal(label_decode(out, bytes, LABEL_REGION, LABEL_UCX, &label), CKPT_ERR_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
