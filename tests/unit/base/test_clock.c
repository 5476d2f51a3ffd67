/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

/* Between two readings of the system's own, and in its unit. */
static void each_clock_reads_its_own(void **state)
{
    struct timespec before, after;

    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &before);
    uint64_t ns = clock_now_ns();
    uint64_t ms = clock_now_ms();
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(ns / 1000000000 >= (uint64_t)before.tv_sec);
    assert_true(ns / 1000000000 <= (uint64_t)after.tv_sec);
    assert_true(ns / 1000000 <= ms && ms <= clock_now_ns() / 1000000);

    clock_gettime(CLOCK_REALTIME, &before);
    uint64_t wall_ms = clock_wall_ms();
    clock_gettime(CLOCK_REALTIME, &after);
    assert_true(wall_ms / 1000 >= (uint64_t)before.tv_sec);
    assert_true(wall_ms / 1000 <= (uint64_t)after.tv_sec);
}

static void time_does_not_go_back(void **state)
{
    uint64_t last = clock_now_ns();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now_ns();
        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_clock_reads_its_own),
        cmocka_unit_test(time_does_not_go_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
