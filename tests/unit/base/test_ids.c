/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ids.h"

static void incarnations_compare_and_print(void **state)
{
    (void)state;
    struct incarnation a = {{0}};
    struct incarnation b = {{0}};
    char hex[INCARNATION_HEX_SIZE];
    assert_true(incarnation_is_zero(&a));
    assert_true(incarnation_equal(&a, &b));
    a.bytes[15] = 0x0f;
    a.bytes[0] = 0xa5;
    assert_false(incarnation_is_zero(&a));
    assert_false(incarnation_equal(&a, &b));
    incarnation_hex(&a, hex);
    assert_string_equal(hex, "a500000000000000000000000000000f");
}

static void good_names_are_valid(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a",
        "A-Z_0.9",
        "team/llama-70b/run.7",
        "model.layers.0.weight",
        "...",
        "..a/.b/c..d",
        "-",
        ".hidden",
        "a/.../b",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!name_is_valid(good[i], 255)) {
            fail_msg("'%s' refused", good[i]);
        }
    }
}

static void bad_names_are_not(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "/",     "/a",   "a/",    "a//b", ".",    "..",   "a/..",         "../a",
        "a/../b", "./a",   "a/.",  "a/./b", "a b",  "a\nb", "a\\b", "na\xc3\xafve", "a:b",
        "a*",     "a\x7f", "\x01", "a=b",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (name_is_valid(bad[i], 255)) {
            fail_msg("'%s' accepted", bad[i]);
        }
    }
}

static void every_byte_outside_the_set_is_refused(void **state)
{
    (void)state;
    int good = 0;
    for (int c = 1; c < 256; c++) {
        char name[] = {'x', (char)c, 'x', '\0'};
        good += name_is_valid(name, 3);
    }
    /* 26 + 26 letters, 10 digits, and . _ / - */
    assert_int_equal(good, 66);
}

static void the_length_is_bounded(void **state)
{
    (void)state;
    assert_true(name_is_valid("abc", 3));
    assert_false(name_is_valid("abcd", 3));
    /* Reads no byte after name_max + 1: there is none here. */
    char exact[4] = {'a', 'b', 'c', 'd'};
    assert_false(name_is_valid(exact, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incarnations_compare_and_print),
        cmocka_unit_test(good_names_are_valid),
        cmocka_unit_test(bad_names_are_not),
        cmocka_unit_test(every_byte_outside_the_set_is_refused),
        cmocka_unit_test(the_length_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
