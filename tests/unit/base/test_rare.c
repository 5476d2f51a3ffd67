/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rare.h"

#define MINUTE UINT64_C(60000)

static void what_goes_on_is_said_ever_more_rarely(void **state)
{
    (void)state;
    static const uint64_t expected[] = {0, 1, 3, 7, 15, 25, 35, 45, 55};
    struct rare rare = {0};
    uint64_t said = 0;
    for (uint64_t ms = 0; ms <= 60 * MINUTE; ms += 250) {
        if (rare_happens(&rare, 5 + ms)) {
            assert_true(said < sizeof(expected) / sizeof(expected[0]));
            assert_int_equal(ms, expected[said] * MINUTE);
            said++;
        }
    }
    assert_int_equal(said, 9);
    assert_int_equal(rare.first_ms, 5);
    assert_int_equal(rare.count, 60 * 60 * 4 + 1);
}

static void what_comes_back_is_new(void **state)
{
    (void)state;
    struct rare rare = {0};
    assert_true(rare_is_over(&rare, 0));
    assert_true(rare_happens(&rare, 1000));
    assert_false(rare_happens(&rare, 2000));
    assert_false(rare_is_over(&rare, 2000 + MINUTE - 1));
    assert_true(rare_is_over(&rare, 2000 + MINUTE));
    assert_true(rare_happens(&rare, 2000 + MINUTE));
    assert_int_equal(rare.first_ms, 2000 + MINUTE);
    assert_int_equal(rare.count, 1);
    /* What is said every ten minutes and happens every nine is not new each time. */
    uint64_t now_ms = 2000 + MINUTE;
    for (int i = 0; i < 100; i++) {
        now_ms += MINUTE / 2;
        (void)rare_happens(&rare, now_ms);
    }
    assert_int_equal(rare.pause_ms, RARE_LAST_MS);
    assert_false(rare_is_over(&rare, now_ms + 9 * MINUTE));
    (void)rare_happens(&rare, now_ms + 9 * MINUTE);
    assert_int_equal(rare.first_ms, 2000 + MINUTE);
    rare_ends(&rare);
    assert_true(rare_happens(&rare, now_ms + 9 * MINUTE + 1));
}

static void a_crowd_is_not_loud(void **state)
{
    (void)state;
    struct rare table[4] = {{0}};
    int said = 0;
    for (uint64_t ms = 0; ms < MINUTE; ms += 100) {
        for (uint64_t key = 1; key <= 100; key++) {
            struct rare *entry = rare_find(table, 4, key, ms);
            said += entry != NULL && rare_happens(entry, ms);
        }
    }
    assert_int_equal(said, 4);
    /* Who is over makes place, the one that has been away for longest first. */
    assert_true(rare_happens(rare_find(table, 4, 1, 2 * MINUTE), 2 * MINUTE));
    assert_int_equal(table[0].key, 1);
    assert_true(rare_happens(rare_find(table, 4, 50, 2 * MINUTE), 2 * MINUTE));
    assert_int_equal(table[0].key, 1);
    assert_ptr_equal(rare_find(table, 4, 50, 2 * MINUTE), &table[1]);
}

static void keys_differ_by_what_and_by_text(void **state)
{
    (void)state;
    assert_int_equal(rare_key(1, "n1"), rare_key(1, "n1"));
    assert_int_not_equal(rare_key(1, "n1"), rare_key(2, "n1"));
    assert_int_not_equal(rare_key(1, "n1"), rare_key(1, "n2"));
    assert_int_not_equal(rare_key(0, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_on_is_said_ever_more_rarely),
        cmocka_unit_test(what_comes_back_is_new),
        cmocka_unit_test(a_crowd_is_not_loud),
        cmocka_unit_test(keys_differ_by_what_and_by_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
