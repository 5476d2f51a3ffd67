/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/reason.h"

static void a_line_is_written_and_its_status_returned(void **state)
{
    char reason[CKPT_REASON_MAX + 1] = "before";

    (void)state;
    reason_set(reason, "node %s of %d", "n2", 3);
    assert_string_equal(reason, "node n2 of 3");
    assert_int_equal(reason_refuse(reason, CKPT_ERR_BUSY, "%u ranks", 8u), CKPT_ERR_BUSY);
    assert_string_equal(reason, "8 ranks");
    reason_set(reason, "%s", reason + 2);
    assert_string_equal(reason, "ranks");
    reason_set(reason, "%s", "");
    assert_string_equal(reason, "");
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    char text[2 * CKPT_REASON_MAX];
    struct {
        char reason[CKPT_REASON_MAX + 1];
        char behind;
    } place = {.behind = '!'};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    reason_set(place.reason, "%s", text);
    assert_int_equal(strlen(place.reason), CKPT_REASON_MAX);
    assert_int_equal(place.behind, '!');
    memset(place.reason, 0, sizeof(place.reason));
    assert_int_equal(reason_refuse(place.reason, CKPT_ERR_SIZE, "%s", text), CKPT_ERR_SIZE);
    assert_int_equal(strlen(place.reason), CKPT_REASON_MAX);
    assert_int_equal(place.behind, '!');
}

static void nobody_needs_to_want_a_line(void **state)
{
    (void)state;
    reason_set(NULL, "nobody reads %d", 1);
    assert_int_equal(reason_refuse(NULL, CKPT_ERR_NAME, "nobody reads %d", 1), CKPT_ERR_NAME);
    assert_int_equal(reason_refuse_in((struct reason){0}, CKPT_ERR_NAME, "%d", 1), CKPT_ERR_NAME);
}

static void a_place_has_its_own_size(void **state)
{
    char small[8] = "";

    (void)state;
    assert_int_equal(
        reason_refuse_in((struct reason){small, sizeof(small)}, CKPT_ERR_CONFIG, "0123456789"),
        CKPT_ERR_CONFIG);
    assert_string_equal(small, "0123456");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_written_and_its_status_returned),
        cmocka_unit_test(a_line_that_is_too_long_is_cut),
        cmocka_unit_test(nobody_needs_to_want_a_line),
        cmocka_unit_test(a_place_has_its_own_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
