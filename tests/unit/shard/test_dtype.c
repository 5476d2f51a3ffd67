/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ckpt/dtype.h>

#include "shard/utf8.h"

static void every_type_has_a_name_that_finds_it(void **state)
{
    (void)state;
    int types = 0;
    for (int number = 0; number < 300; number++) {
        enum ckpt_dtype found;
        const char *name = ckpt_dtype_name((enum ckpt_dtype)number);
        if (!name) {
            assert_int_equal(ckpt_dtype_bits((enum ckpt_dtype)number), 0);
            continue;
        }
        types++;
        assert_int_equal(ckpt_dtype_from_name(name, &found), CKPT_OK);
        assert_int_equal(found, number);
        assert_in_range(ckpt_dtype_bits(found), 4, 64);
    }
    /* As many as the format has. */
    assert_int_equal(types, 22);
}

static void sizes_are_those_of_the_names(void **state)
{
    (void)state;
    assert_int_equal(ckpt_dtype_bits(CKPT_DTYPE_BF16), 16);
    assert_int_equal(ckpt_dtype_bits(CKPT_DTYPE_BOOL), 8);
    assert_int_equal(ckpt_dtype_bits(CKPT_DTYPE_F4), 4);
    assert_int_equal(ckpt_dtype_bits(CKPT_DTYPE_F6_E2M3), 6);
    assert_int_equal(ckpt_dtype_bits(CKPT_DTYPE_F8_E4M3), 8);
    assert_int_equal(ckpt_dtype_bits(CKPT_DTYPE_C64), 64);
}

static void unknown_names_leave_the_output_alone(void **state)
{
    (void)state;
    enum ckpt_dtype found = CKPT_DTYPE_F64;
    assert_int_equal(ckpt_dtype_from_name("f32", &found), CKPT_ERR_DTYPE);
    assert_int_equal(ckpt_dtype_from_name("", &found), CKPT_ERR_DTYPE);
    assert_int_equal(ckpt_dtype_from_name("F128", &found), CKPT_ERR_DTYPE);
    assert_int_equal(found, CKPT_DTYPE_F64);
}

static void utf8_is_as_rfc_3629_has_it(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "z\xc3\xbcrich"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2x",
                                      "\xe0\x9f\xbf",
                                      "\xe1\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xf0\x90\x80",
                                      "\xe1\x80\xc0",
                                      "a\xbf"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!utf8_is_valid(good[i])) {
            fail_msg("good text %zu refused", i);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (utf8_is_valid(bad[i])) {
            fail_msg("bad text %zu accepted", i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_a_name_that_finds_it),
        cmocka_unit_test(sizes_are_those_of_the_names),
        cmocka_unit_test(unknown_names_leave_the_output_alone),
        cmocka_unit_test(utf8_is_as_rfc_3629_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
