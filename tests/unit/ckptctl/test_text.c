/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ckptctl/text.h"

static void sizes_have_three_digits_and_their_unit(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {13107200, "12.5 MiB"},
        {UINT64_C(100) << 30, "100 GiB"},
        {UINT64_MAX, "16.0 EiB"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(SIZE_TEXT(cases[i].bytes), cases[i].text);
    }
}

static void ages_change_their_unit_at_twice_it(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "0 ms"},       {999, "999 ms"},     {1000, "1 s"},
        {119999, "119 s"}, {120000, "2 min"},   {7199999, "119 min"},
        {7200000, "2 h"},  {172799999, "47 h"}, {172800000, "2 d"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(AGE_TEXT(cases[i].ms), cases[i].text);
    }
}

static void a_user_without_a_name_is_a_number(void **state)
{
    (void)state;
    assert_string_equal(USER_TEXT(0), "root");
    assert_string_equal(USER_TEXT(4000000123), "4000000123");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_three_digits_and_their_unit),
        cmocka_unit_test(ages_change_their_unit_at_twice_it),
        cmocka_unit_test(a_user_without_a_name_is_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
