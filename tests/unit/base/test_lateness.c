/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/lateness.h"

static void what_is_late_is_counted_once(void **state)
{
    (void)state;
    struct lateness l = {0};
    assert_int_equal(lateness_take(&l, 1000, 50), 0);
    lateness_due(&l, 1250);
    assert_int_equal(lateness_take(&l, 1300, 50), 0);
    lateness_due(&l, 1550);
    assert_int_equal(lateness_take(&l, 5550, 50), 4000);
    assert_int_equal(lateness_take(&l, 5550, 50), 0);
    /* A deadline that stays in the past: what has passed since the last event. */
    assert_int_equal(lateness_take(&l, 5700, 50), 150);
}

static void early_and_never_are_not_late(void **state)
{
    (void)state;
    struct lateness l = {0};
    (void)lateness_take(&l, 1000, 0);
    lateness_due(&l, 2000);
    assert_int_equal(lateness_take(&l, 1500, 0), 0);
    assert_int_equal(lateness_take(&l, 2001, 0), 1);
    lateness_due(&l, LATENESS_NEVER);
    assert_int_equal(lateness_take(&l, 900000, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_late_is_counted_once),
        cmocka_unit_test(early_and_never_are_not_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
