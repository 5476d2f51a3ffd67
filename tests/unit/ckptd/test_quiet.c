/* SPDX-License-Identifier: Apache-2.0 */
/* When the threads stand still, with digester and mover that only say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>

#include "mover/digester.h"
#include "mover/mover.h"
#include "ckptd/quiet.h"

#define SLOTS 8

static struct event_base *base;
static struct quiet *quiet;
static bool digester_is_held, mover_is_held;

void digester_hold(struct digester *digester, bool held)
{
    (void)digester;
    assert_int_not_equal(digester_is_held, held);
    digester_is_held = held;
}

static bool scrubs_stand_back;

void digester_saves(struct digester *digester, bool saves)
{
    (void)digester;
    scrubs_stand_back = saves;
}

void mover_hold(struct mover *mover, bool held)
{
    (void)mover;
    assert_int_not_equal(mover_is_held, held);
    mover_is_held = held;
}

static bool is_quiet(void)
{
    assert_int_equal(digester_is_held, mover_is_held);
    return mover_is_held;
}

static int start(void **state)
{
    (void)state;
    base = event_base_new();
    assert_non_null(base);
    return quiet_make(base, SLOTS, NULL, NULL, &quiet) == CKPT_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    quiet_free(&quiet);
    assert_null(quiet);
    assert_false(is_quiet());
    event_base_free(base);
    return 0;
}

static void work_without_a_filled_slot_is_done(void **state)
{
    (void)state;
    quiet_work(quiet, 1000);
    quiet_slot(quiet, 3, true, 1001);
    assert_false(is_quiet());
    quiet_slot(quiet, 3, false, 1002);
    quiet_work(quiet, 1003);
    assert_false(is_quiet());
}

static void work_waits_for_the_last_of_the_slots(void **state)
{
    (void)state;
    quiet_slot(quiet, 0, true, 1000);
    quiet_slot(quiet, SLOTS - 1, true, 1000);
    quiet_slot(quiet, 0, false, 1010);
    quiet_slot(quiet, 0, false, 1010); /* its next state, which is not filling either */
    quiet_work(quiet, 1010);
    assert_true(is_quiet());
    quiet_work(quiet, 1011);
    quiet_slot(quiet, 2, true, 1012);
    quiet_slot(quiet, SLOTS - 1, false, 1020);
    assert_true(is_quiet());
    quiet_slot(quiet, 2, false, 1030);
    assert_false(is_quiet());
}

static void after_a_quiet_there_is_none_for_as_long(void **state)
{
    (void)state;
    quiet_slot(quiet, 1, true, 1000);
    quiet_work(quiet, 1000);
    quiet_slot(quiet, 1, false, 1050);
    quiet_slot(quiet, 1, true, 1051);
    quiet_work(quiet, 1099);
    assert_false(is_quiet());
    quiet_work(quiet, 1100);
    assert_true(is_quiet());
}

static void a_slot_that_is_filled_for_long_holds_up_nothing_more(void **state)
{
    (void)state;
    quiet_slot(quiet, 1, true, 1000);
    quiet_work(quiet, 1000);
    assert_true(is_quiet());
    assert_int_equal(event_base_dispatch(base), 1); /* until nothing is armed any more */
    assert_false(is_quiet());
    quiet_work(quiet, 9000);
    assert_false(is_quiet());
    quiet_slot(quiet, 2, true, 9001);
    quiet_work(quiet, 9002);
    assert_true(is_quiet());
    quiet_slot(quiet, 1, false, 9003);
    assert_true(is_quiet());
    quiet_slot(quiet, 2, false, 9004);
    assert_false(is_quiet());
}

/* Nothing else need come for it. */
static void a_scrub_stands_back_while_slots_are_filled(void **state)
{
    (void)state;
    quiet_slot(quiet, 1, true, 1000);
    assert_true(scrubs_stand_back);
    quiet_slot(quiet, 2, true, 1000);
    quiet_slot(quiet, 1, false, 1010);
    assert_true(scrubs_stand_back);
    quiet_slot(quiet, 2, false, 1020);
    assert_false(scrubs_stand_back);
    assert_false(is_quiet());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(work_without_a_filled_slot_is_done, start, stop),
        cmocka_unit_test_setup_teardown(work_waits_for_the_last_of_the_slots, start, stop),
        cmocka_unit_test_setup_teardown(after_a_quiet_there_is_none_for_as_long, start, stop),
        cmocka_unit_test_setup_teardown(a_slot_that_is_filled_for_long_holds_up_nothing_more, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_scrub_stands_back_while_slots_are_filled, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
