/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of inner loops against the scalar one, which the vectors prove: every count around the
 * widths of all engines, any alignment, parents in place, leaf numbers that need both counter
 * words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "digest/engine.h"
#include "unit/digest/engines.h"

#define COUNT_MAX 70
#define GUARD 0xa5

static uint8_t input[COUNT_MAX * BLAKE3_LEAF_BYTES + 64];

static int fill(void **state)
{
    struct prng prng;

    (void)state;
    prng_seed(&prng, 251);
    for (size_t i = 0; i < sizeof(input); i++) {
        input[i] = (uint8_t)prng_next(&prng);
    }
    return 0;
}

static void check_leaves(const struct digest_engine *engine, void *context)
{
    uint8_t expected[COUNT_MAX * DIGEST_CV_BYTES];
    uint8_t found[COUNT_MAX * DIGEST_CV_BYTES + 1];

    (void)context;
    for (size_t count = 0; count <= COUNT_MAX; count++) {
        const uint8_t *data = input + count % 64;
        uint64_t leaf_index = UINT64_C(0xffffffe0) + count;

        memset(found, GUARD, sizeof(found));
        digest_engine_scalar.leaves(data, count, leaf_index, expected);
        engine->leaves(data, count, leaf_index, found);
        assert_memory_equal(found, expected, count * DIGEST_CV_BYTES);
        assert_int_equal(found[count * DIGEST_CV_BYTES], GUARD);
    }
}

static void check_parents(const struct digest_engine *engine, void *context)
{
    uint8_t expected[COUNT_MAX * DIGEST_CV_BYTES];
    uint8_t found[COUNT_MAX * DIGEST_CV_BYTES + 1];
    uint8_t in_place[2 * COUNT_MAX * DIGEST_CV_BYTES];

    (void)context;
    for (size_t count = 0; count <= COUNT_MAX; count++) {
        const uint8_t *cvs = input + count % 64;

        memset(found, GUARD, sizeof(found));
        digest_engine_scalar.parents(cvs, count, expected);
        engine->parents(cvs, count, found);
        assert_memory_equal(found, expected, count * DIGEST_CV_BYTES);
        assert_int_equal(found[count * DIGEST_CV_BYTES], GUARD);
        memcpy(in_place, cvs, 2 * count * DIGEST_CV_BYTES);
        engine->parents(in_place, count, in_place);
        assert_memory_equal(in_place, expected, count * DIGEST_CV_BYTES);
    }
}

/* The values come from a transcription of the paper into another language, byte i of the leaf is
 * i % 251: no file is large enough to check them with b3sum. */
static void check_counters(const struct digest_engine *engine, void *context)
{
    static const struct {
        uint64_t leaf_index;
        uint8_t first[4];
    } pins[] = {
        {0, {0x5c, 0x9e, 0x65, 0x44}},
        {UINT64_C(0xffffffff), {0xf5, 0x91, 0xd6, 0xad}},
        {UINT64_C(0x100000000), {0x91, 0x4c, 0xde, 0x82}},
        {UINT64_C(0x100000005), {0x3b, 0x6a, 0x21, 0xca}},
        {UINT64_C(0x3fffffffffffff), {0xcc, 0xac, 0xe2, 0xd0}},
    };
    static uint8_t leaves[16 * BLAKE3_LEAF_BYTES];
    uint8_t found[16 * DIGEST_CV_BYTES];

    (void)context;
    for (size_t i = 0; i < sizeof(leaves); i++) {
        leaves[i] = (uint8_t)(i % BLAKE3_LEAF_BYTES % 251);
    }
    for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
        /* In the first lane and, where its number allows, in the eleventh. */
        engine->leaves(leaves, 16, pins[i].leaf_index, found);
        assert_memory_equal(found, pins[i].first, 4);
        if (pins[i].leaf_index >= 10) {
            engine->leaves(leaves, 16, pins[i].leaf_index - 10, found);
            assert_memory_equal(found + 10 * DIGEST_CV_BYTES, pins[i].first, 4);
        }
    }
}

static void leaves__every_count(void **state)
{
    (void)state;
    each_engine(check_leaves, NULL);
}

static void parents__every_count_and_in_place(void **state)
{
    (void)state;
    each_engine(check_parents, NULL);
}

static void leaves__counter_words(void **state)
{
    (void)state;
    each_engine(check_counters, NULL);
}

static void select__null_is_the_widest_that_runs(void **state)
{
    const struct digest_engine *engine = NULL;

    (void)state;
    assert_int_equal(digest_engine_select(NULL, &engine), CKPT_OK);
    assert_true(digest_engine_supported(engine));
    for (size_t i = digest_engine_count(); digest_engine_at(--i) != engine;) {
        assert_false(digest_engine_supported(digest_engine_at(i)));
    }
}

static void select__by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < digest_engine_count(); i++) {
        const struct digest_engine *engine = digest_engine_at(i);
        const struct digest_engine *found = NULL;
        enum ckpt_status status = digest_engine_select(digest_engine_name(engine), &found);

        assert_ptr_equal(digest_engine_by_name(digest_engine_name(engine)), engine);
        if (digest_engine_supported(engine)) {
            assert_int_equal(status, CKPT_OK);
            assert_ptr_equal(found, engine);
        } else {
            assert_int_equal(status, CKPT_ERR_CONFIG);
            assert_null(found);
        }
    }
    assert_string_equal(digest_engine_name(digest_engine_at(0)), "scalar");
    assert_null(digest_engine_at(digest_engine_count()));
}

static void select__unknown_name(void **state)
{
    const struct digest_engine *engine = &digest_engine_scalar;

    (void)state;
    assert_int_equal(digest_engine_select("avx3", &engine), CKPT_ERR_NOT_FOUND);
    assert_ptr_equal(engine, &digest_engine_scalar);
    assert_null(digest_engine_by_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves__every_count),
        cmocka_unit_test(parents__every_count_and_in_place),
        cmocka_unit_test(leaves__counter_words),
        cmocka_unit_test(select__null_is_the_widest_that_runs),
        cmocka_unit_test(select__by_name),
        cmocka_unit_test(select__unknown_name),
    };

    return cmocka_run_group_tests(tests, fill, NULL);
}
