/* SPDX-License-Identifier: Apache-2.0 */
/* The official test vectors through each engine this CPU runs, and through each way in: one shot,
 * chunk and fold, stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "digest/digest.h"
#include "unit/digest/engines.h"
#include "unit/digest/test_vectors.h"

#define VECTOR_COUNT (sizeof(test_vectors) / sizeof(test_vectors[0]))
#define VECTOR_BYTES_MAX 102400

static uint8_t input[VECTOR_BYTES_MAX];

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(input); i++) {
        input[i] = (uint8_t)(i % 251);
    }
    return 0;
}

static void expect(const struct digest *digest, const struct test_vector *vector)
{
    char hex[DIGEST_HEX_BYTES];

    digest_hex(digest, hex);
    assert_string_equal(hex, vector->hex);
}

static void one_shot(const struct digest_engine *engine, void *context)
{
    const struct test_vector *vector = context;
    struct digest digest;

    digest_bytes(engine, input, vector->bytes, &digest);
    expect(&digest, vector);
}

static void chunk_and_fold(const struct digest_engine *engine, void *context)
{
    const struct test_vector *vector = context;
    struct digest digest;
    uint8_t cv[DIGEST_CV_BYTES];

    assert_int_equal(digest_chunk(engine, input, vector->bytes, 0, vector->bytes, cv), CKPT_OK);
    assert_int_equal(digest_fold(cv, 1, vector->bytes, &digest), CKPT_OK);
    expect(&digest, vector);
}

static void stream(const struct digest_engine *engine, void *context)
{
    const struct test_vector *vector = context;
    static const size_t pieces[] = {1, 63, 64, 1024, 1025, 4096, 16384, 16385, 40000, 102400};
    struct digest_stream stream;
    struct digest digest;

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        digest_stream_init(&stream, engine);
        for (size_t at = 0; at < vector->bytes; at += pieces[i]) {
            size_t left = vector->bytes - at;

            digest_stream_update(&stream, input + at, left < pieces[i] ? left : pieces[i]);
        }
        digest_stream_final(&stream, &digest);
        expect(&digest, vector);
    }
}

static void each(void (*check)(const struct digest_engine *engine, void *context))
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        struct test_vector vector = test_vectors[i];

        each_engine(check, &vector);
    }
}

static void vectors__one_shot(void **state)
{
    (void)state;
    each(one_shot);
}

static void vectors__chunk_and_fold(void **state)
{
    (void)state;
    each(chunk_and_fold);
}

static void vectors__stream(void **state)
{
    (void)state;
    each(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors__one_shot),
        cmocka_unit_test(vectors__chunk_and_fold),
        cmocka_unit_test(vectors__stream),
    };

    return cmocka_run_group_tests(tests, fill, NULL);
}
