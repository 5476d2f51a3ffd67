/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "session/filter.h"

static struct incarnation sender(uint32_t number)
{
    struct incarnation incarnation = {{0}};
    store_le32(incarnation.bytes, number);
    incarnation.bytes[15] = 1;
    return incarnation;
}

static void only_higher_sequences_pass(void **state)
{
    (void)state;
    struct session_filter *filter;
    struct incarnation a = sender(1);
    struct incarnation b = sender(2);
    assert_int_equal(session_filter_make(4, &filter), CKPT_OK);
    assert_true(session_filter_take(filter, &a, 5));
    assert_false(session_filter_take(filter, &a, 5));
    assert_false(session_filter_take(filter, &a, 4));
    assert_true(session_filter_take(filter, &b, 1));
    assert_true(session_filter_take(filter, &a, 900));
    assert_false(session_filter_take(filter, &a, 6));
    assert_false(session_filter_take(filter, &b, 1));
    assert_true(session_filter_take(filter, &a, UINT64_MAX));
    assert_false(session_filter_take(filter, &a, UINT64_MAX));
    session_filter_free(&filter);
    assert_null(filter);
}

static void as_many_senders_as_said_are_remembered(void **state)
{
    (void)state;
    struct session_filter *filter;
    assert_int_equal(session_filter_make(1000, &filter), CKPT_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        struct incarnation incarnation = sender(i);
        assert_true(session_filter_take(filter, &incarnation, 10));
    }
    for (uint32_t i = 0; i < 1000; i++) {
        struct incarnation incarnation = sender(i);
        assert_false(session_filter_take(filter, &incarnation, 10));
        assert_true(session_filter_take(filter, &incarnation, 11));
    }
    session_filter_free(&filter);
}

static void a_flood_forgets_the_quiet_first(void **state)
{
    (void)state;
    struct session_filter *filter;
    struct incarnation busy = sender(0);
    assert_int_equal(session_filter_make(1, &filter), CKPT_OK);
    for (uint32_t i = 1; i < 10000; i++) {
        struct incarnation stranger = sender(i);
        assert_true(session_filter_take(filter, &busy, i));
        assert_true(session_filter_take(filter, &stranger, 1));
        assert_false(session_filter_take(filter, &busy, i));
    }
    session_filter_free(&filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_higher_sequences_pass),
        cmocka_unit_test(as_many_senders_as_said_are_remembered),
        cmocka_unit_test(a_flood_forgets_the_quiet_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
