/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/value.h"

static char problem[256];

static int64_t good(const struct config_key *key, const char *text)
{
    int64_t number = -99;
    if (!value_parse(key, text, &number, problem, sizeof(problem))) {
        fail_msg("'%s': %s", text, problem);
    }
    return number;
}

static void bad(const struct config_key *key, const char *text, const char *says)
{
    int64_t number = -99;
    if (value_parse(key, text, &number, problem, sizeof(problem))) {
        fail_msg("'%s' accepted", text);
    }
    assert_int_equal(number, -99);
    if (!strstr(problem, says)) {
        fail_msg("'%s': '%s' does not say '%s'", text, problem, says);
    }
}

static void integers_have_a_range(void **state)
{
    (void)state;
    const struct config_key any = {.type = CONFIG_INTEGER};
    const struct config_key nice = {.type = CONFIG_INTEGER, .min = -20, .max = 19};
    assert_int_equal(good(&any, "0"), 0);
    assert_true(good(&any, "9223372036854775807") == INT64_MAX);
    assert_int_equal(good(&nice, "-20"), -20);
    assert_int_equal(good(&nice, "19"), 19);
    bad(&nice, "20", "want from -20 to 19");
    bad(&nice, "-21", "want from -20 to 19");
    bad(&any, "-1", "want at least 0");
    static const char *const not_numbers[] = {
        "", "x", "1x", "0x10", "1.5", "--1", "-", "+1", "1e3", "9223372036854775808", " 1"};
    for (size_t i = 0; i < sizeof(not_numbers) / sizeof(not_numbers[0]); i++) {
        bad(&any, not_numbers[i], "want a whole number");
    }
}

static void bytes_have_binary_units(void **state)
{
    (void)state;
    const struct config_key any = {.type = CONFIG_BYTES};
    const struct config_key segment = {
        .type = CONFIG_BYTES, .min = 2 << 20, .max = INT64_C(3) << 30};
    assert_int_equal(good(&any, "4096"), 4096);
    assert_int_equal(good(&any, "64KiB"), 65536);
    assert_int_equal(good(&any, "2 MiB"), 2 << 20);
    assert_true(good(&any, "3GiB") == INT64_C(3) << 30);
    assert_true(good(&any, "1TiB") == INT64_C(1) << 40);
    bad(&segment, "1MiB", "want from 2MiB to 3GiB");
    bad(&any, "9000000TiB", "want a number of bytes");
    bad(&any, "1GB", "such as 4096, 64KiB or 2GiB");
    bad(&any, "1g", "want a number of bytes");
    bad(&any, "1.5GiB", "want a number of bytes");
    bad(&any, "GiB", "want a number of bytes");
    bad(&any, "-1KiB", "want at least 0");
}

static void durations_are_in_milliseconds(void **state)
{
    (void)state;
    const struct config_key any = {.type = CONFIG_DURATION};
    const struct config_key lease = {.type = CONFIG_DURATION, .min = 100, .max = 90000};
    assert_int_equal(good(&any, "250ms"), 250);
    assert_int_equal(good(&any, "30s"), 30000);
    assert_int_equal(good(&any, "5 min"), 300000);
    assert_int_equal(good(&any, "2h"), 7200000);
    assert_int_equal(good(&any, "0"), 0);
    bad(&any, "30", "want a time such as");
    bad(&any, "5m", "want a time such as");
    bad(&any, "9999999999999999h", "want a time such as");
    bad(&lease, "99ms", "want from 100ms to 90s");
    bad(&lease, "2min", "want from 100ms to 90s");
}

static void booleans_are_words(void **state)
{
    (void)state;
    const struct config_key key = {.type = CONFIG_BOOL};
    assert_int_equal(good(&key, "yes") + good(&key, "True") + good(&key, "ON") + good(&key, "1"),
                     4);
    assert_int_equal(good(&key, "no") + good(&key, "false") + good(&key, "Off") + good(&key, "0"),
                     0);
    bad(&key, "maybe", "want yes or no");
    bad(&key, "", "want yes or no");
}

static void enums_name_their_choices(void **state)
{
    (void)state;
    static const char *const choices[] = {"error", "warn", "info", NULL};
    const struct config_key key = {.type = CONFIG_ENUM, .choices = choices};
    assert_int_equal(good(&key, "info"), 2);
    assert_int_equal(good(&key, "error"), 0);
    bad(&key, "Info", "did you mean 'info'? want error, warn or info");
    bad(&key, "loud", "want error, warn or info");
    bad(&key, "", "want error, warn or info");
}

static void lists_have_no_empty_entries(void **state)
{
    (void)state;
    const struct config_key key = {.type = CONFIG_LIST};
    char items[64];
    const char *list[8];
    good(&key, "");
    good(&key, "a:1, b:2 ,c");
    bad(&key, ",", "one is empty");
    bad(&key, "a,,b", "one is empty");
    bad(&key, "a, ", "one is empty");
    assert_int_equal(value_split(" a:1, b c\t,d ", items, list), 3);
    assert_string_equal(list[0], "a:1");
    assert_string_equal(list[1], "b c");
    assert_string_equal(list[2], "d");
    assert_int_equal(value_split("  ", items, list), 0);
    char many[2 * (CONFIG_LIST_MAX + 1)];
    for (size_t i = 0; i < sizeof(many); i++) {
        many[i] = i % 2 == 0 ? 'x' : ',';
    }
    many[sizeof(many) - 1] = '\0';
    bad(&key, many, "want at most 256 entries, have 257");
    many[sizeof(many) - 3] = '\0';
    good(&key, many);
}

static void text_is_printable_and_bounded(void **state)
{
    (void)state;
    const struct config_key key = {.type = CONFIG_STRING};
    static char text[CONFIG_TEXT_MAX + 2];
    good(&key, "z\xc3\xbcrich, a tab\tand ; #");
    bad(&key, "a\nb", "control characters");
    bad(&key, "a\x7f", "control characters");
    memset(text, 'x', sizeof(text) - 1);
    bad(&key, text, "at most 4095 characters");
    text[CONFIG_TEXT_MAX] = '\0';
    good(&key, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_have_a_range),
        cmocka_unit_test(bytes_have_binary_units),
        cmocka_unit_test(durations_are_in_milliseconds),
        cmocka_unit_test(booleans_are_words),
        cmocka_unit_test(enums_name_their_choices),
        cmocka_unit_test(lists_have_no_empty_entries),
        cmocka_unit_test(text_is_printable_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
