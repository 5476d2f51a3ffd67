/* SPDX-License-Identifier: Apache-2.0 */
/* What digest.h promises beyond the right bytes: refusals, outputs left alone, sizes, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "digest/engine.h"
#include "digest/scalar.h"

#define CHUNK CKPT_CHUNK_BYTES

static uint8_t data[2 * CKPT_CHUNK_BYTES];

static void chunk_count__and_bytes(void **state)
{
    (void)state;
    assert_int_equal(digest_chunk_count(0), 1);
    assert_int_equal(digest_chunk_count(1), 1);
    assert_int_equal(digest_chunk_count(CHUNK), 1);
    assert_int_equal(digest_chunk_count(CHUNK + 1), 2);
    assert_true(digest_chunk_count(UINT64_MAX) == UINT64_C(1) << 44);

    assert_int_equal(digest_chunk_bytes(0, 0), 0);
    assert_int_equal(digest_chunk_bytes(0, 7), 7);
    assert_int_equal(digest_chunk_bytes(0, CHUNK), CHUNK);
    assert_int_equal(digest_chunk_bytes(0, CHUNK + 1), CHUNK);
    assert_int_equal(digest_chunk_bytes(1, CHUNK + 1), 1);
    assert_int_equal(digest_chunk_bytes(1, CHUNK), 0);
    assert_int_equal(digest_chunk_bytes(UINT64_MAX, UINT64_MAX), 0);
}

static void refuse_chunk(size_t bytes, uint64_t chunk_index, uint64_t shard_bytes)
{
    const struct digest_engine *engine = digest_engine_by_name("scalar");
    uint8_t cv[DIGEST_CV_BYTES];
    uint8_t untouched[DIGEST_CV_BYTES];

    memset(cv, 0x5a, sizeof(cv));
    memset(untouched, 0x5a, sizeof(untouched));
    assert_int_equal(digest_chunk(engine, data, bytes, chunk_index, shard_bytes, cv),
                     CKPT_ERR_SIZE);
    assert_memory_equal(cv, untouched, sizeof(cv));
}

static void chunk__refuses_wrong_sizes(void **state)
{
    (void)state;
    refuse_chunk(1, 0, 0);
    refuse_chunk(0, 0, 1);
    refuse_chunk(CHUNK - 1, 0, CHUNK);
    refuse_chunk(CHUNK + 1, 0, CHUNK + 1);
    refuse_chunk(CHUNK, 1, CHUNK + 1);
    refuse_chunk(0, 1, CHUNK);
    refuse_chunk(CHUNK, 3, 3 * CHUNK);
    refuse_chunk(0, UINT64_MAX, UINT64_MAX);
}

static void refuse_fold(uint64_t chunk_count, uint64_t shard_bytes)
{
    struct digest digest, untouched;

    memset(&digest, 0x5a, sizeof(digest));
    untouched = digest;
    assert_int_equal(digest_fold(data, chunk_count, shard_bytes, &digest), CKPT_ERR_SIZE);
    assert_true(digest_equal(&digest, &untouched));
}

static void fold__refuses_wrong_counts(void **state)
{
    (void)state;
    refuse_fold(0, 0);
    refuse_fold(2, 0);
    refuse_fold(2, CHUNK);
    refuse_fold(1, CHUNK + 1);
    refuse_fold(3, 2 * CHUNK);
}

static void equal__sees_every_bit(void **state)
{
    struct digest a = {{0}};

    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(a.bytes); bit++) {
        struct digest b = a;

        assert_true(digest_equal(&a, &b));
        b.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(digest_equal(&a, &b));
    }
}

static void hex__all_digits(void **state)
{
    struct digest digest;
    char hex[DIGEST_HEX_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(digest.bytes); i++) {
        digest.bytes[i] = (uint8_t)(i * 0x11 + (i >= 16 ? 1 : 0));
    }
    digest_hex(&digest, hex);
    assert_string_equal(hex, "00112233445566778899aabbccddeeff"
                             "112233445566778899aabbccddeeff10");
}

/* Two chunks that are equal bytes have different values, as each carries its place. */
static void chunk__carries_its_place(void **state)
{
    const struct digest_engine *engine = digest_engine_by_name("scalar");
    uint8_t first[DIGEST_CV_BYTES], second[DIGEST_CV_BYTES];

    (void)state;
    assert_int_equal(digest_chunk(engine, data, CHUNK, 0, 2 * CHUNK, first), CKPT_OK);
    assert_int_equal(digest_chunk(engine, data + CHUNK, CHUNK, 1, 2 * CHUNK, second), CKPT_OK);
    assert_memory_not_equal(first, second, sizeof(first));
}

/* Beyond 4 TiB the number of a leaf needs more than 32 bits. */
static void chunk__beyond_four_tebibytes(void **state)
{
    const struct digest_engine *engine = digest_engine_by_name("scalar");
    uint64_t index = (UINT64_C(1) << 22) + 3;
    uint64_t shard_bytes = index * CHUNK + BLAKE3_LEAF_BYTES;
    uint8_t expected[DIGEST_CV_BYTES], found[DIGEST_CV_BYTES];

    (void)state;
    digest_scalar_leaf(data, BLAKE3_LEAF_BYTES, index * 1024, 0, expected);
    assert_int_equal(digest_chunk(engine, data, BLAKE3_LEAF_BYTES, index, shard_bytes, found),
                     CKPT_OK);
    assert_memory_equal(found, expected, sizeof(found));
}

/* The rule of the paper as it stands there: the left subtree has the largest power of two of chunks
 * that leaves at least one for the right. */
static void fold_by_the_rule(const uint8_t *cvs, size_t count, uint32_t flags, uint8_t *cv_out)
{
    uint8_t pair[2 * DIGEST_CV_BYTES];
    size_t left = 1;

    if (count == 1) {
        memcpy(cv_out, cvs, DIGEST_CV_BYTES);
        return;
    }
    while (2 * left < count) {
        left *= 2;
    }
    fold_by_the_rule(cvs, left, 0, pair);
    fold_by_the_rule(cvs + left * DIGEST_CV_BYTES, count - left, 0, pair + DIGEST_CV_BYTES);
    digest_scalar_parent(pair, flags, cv_out);
}

static void fold__every_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
    }
    for (size_t count = 1; count <= 1100; count++) {
        struct digest expected, found;

        fold_by_the_rule(data, count, BLAKE3_ROOT, expected.bytes);
        assert_int_equal(digest_fold(data, count, count * CHUNK, &found), CKPT_OK);
        assert_true(digest_equal(&found, &expected));
    }
}

static void stream__final_leaves_it_as_it_was(void **state)
{
    const struct digest_engine *engine = digest_engine_by_name("scalar");
    struct digest_stream stream;
    struct digest found, expected;

    (void)state;
    digest_stream_init(&stream, engine);
    for (size_t bytes = 0; bytes <= 200000; bytes += 20000) {
        digest_bytes(engine, data, bytes, &expected);
        digest_stream_final(&stream, &found);
        assert_true(digest_equal(&found, &expected));
        digest_stream_update(&stream, data + bytes, 20000);
        digest_stream_update(&stream, NULL, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunk_count__and_bytes),
        cmocka_unit_test(chunk__refuses_wrong_sizes),
        cmocka_unit_test(fold__refuses_wrong_counts),
        cmocka_unit_test(equal__sees_every_bit),
        cmocka_unit_test(hex__all_digits),
        cmocka_unit_test(chunk__carries_its_place),
        cmocka_unit_test(chunk__beyond_four_tebibytes),
        cmocka_unit_test(fold__every_count),
        cmocka_unit_test(stream__final_leaves_it_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
