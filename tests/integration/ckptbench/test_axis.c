/* SPDX-License-Identifier: Apache-2.0 */
/* Axes: bounds hold the values, ticks are round and in order, also for odd values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "plot/axis.h"

static void check(enum axis_scale scale, double least, double greatest)
{
    struct axis axis;
    axis_fit(&axis, scale, least, greatest);
    assert_true(axis.greatest > axis.least);
    assert_true(axis.tick_count >= 2);
    assert_true(axis_place(&axis, least) >= -1e-9);
    assert_true(axis_place(&axis, greatest) <= 1 + 1e-9);
    for (size_t i = 0; i < axis.tick_count; i++) {
        double place = axis_place(&axis, axis.ticks[i]);
        assert_true(place >= -1e-9 && place <= 1 + 1e-9);
        assert_true(i == 0 || axis.ticks[i] > axis.ticks[i - 1]);
    }
}

static void test_every_range_has_an_axis(void **state)
{
    (void)state;
    for (double greatest = 1e-6; greatest < 1e12; greatest *= 3.7) {
        check(AXIS_LINEAR, greatest / 7, greatest);
        for (double ratio = 1; ratio < 1e7; ratio *= 11) {
            check(AXIS_LOG, greatest / ratio, greatest);
        }
    }
    for (double greatest = 2; greatest < 1e12; greatest *= 3.7) {
        check(AXIS_BYTES, 1, greatest);
        check(AXIS_COUNT, greatest, greatest);
    }
}

static void test_what_is_no_number(void **state)
{
    struct axis axis;
    (void)state;
    axis_fit(&axis, AXIS_LINEAR, INFINITY, 0);
    assert_true(axis.greatest > 0 && axis.tick_count > 1);
    axis_fit(&axis, AXIS_LOG, INFINITY, 0);
    assert_true(axis.greatest > axis.least);
    axis_fit(&axis, AXIS_LOG, NAN, NAN);
    assert_true(axis.greatest > axis.least);
}

static void expect_label(enum axis_scale scale, double value, const char *expected)
{
    struct axis axis = {.scale = scale};
    char text[32];
    axis_label(&axis, value, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void test_labels(void **state)
{
    (void)state;
    expect_label(AXIS_BYTES, 65536, "64 KiB");
    expect_label(AXIS_BYTES, 512, "512 B");
    expect_label(AXIS_BYTES, 1048576, "1 MiB");
    expect_label(AXIS_LINEAR, 0.5, "0.5");
    expect_label(AXIS_LOG, 100000, "100000");
    expect_label(AXIS_COUNT, 4096, "4096");
}

static void test_linear_ticks_are_round(void **state)
{
    struct axis axis;
    (void)state;
    axis_fit(&axis, AXIS_LINEAR, 1, 9.3);
    assert_true(axis.ticks[0] == 0 && axis.ticks[1] == 2 && axis.greatest == 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_range_has_an_axis),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_linear_ticks_are_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
