/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's queue: by time, and of equal times in the order of queueing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "sim/turns.h"

static void turns_fire_by_time_and_ties_by_order(void **state)
{
    (void)state;
    struct turns turns;
    struct prng prng;
    struct turn turn;
    turns_init(&turns);
    prng_seed(&prng, 3);
    for (uint32_t i = 0; i < 5000; i++) {
        turns_push(&turns, (struct turn){.at_ms = prng_below(&prng, 50), .number = i});
    }
    uint64_t last_ms = 0;
    uint32_t last = 0;
    uint32_t count = 0;
    while (turns_pop(&turns, &turn)) {
        assert_true(turn.at_ms >= last_ms);
        assert_true(count == 0 || turn.at_ms > last_ms || turn.number > last);
        last_ms = turn.at_ms;
        last = turn.number;
        count++;
    }
    assert_int_equal(count, 5000);
    turns_free(&turns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_fire_by_time_and_ties_by_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
