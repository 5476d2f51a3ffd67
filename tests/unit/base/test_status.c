/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ckpt/status.h>

static void every_status_has_its_own_text(void **state)
{
    (void)state;
    static const enum ckpt_status all[] = {
#define STATUS_VALUE(name, number, text) name,
        CKPT_STATUS_TABLE(STATUS_VALUE)
#undef STATUS_VALUE
    };
    size_t count = sizeof(all) / sizeof(all[0]);
    for (size_t i = 0; i < count; i++) {
        assert_string_not_equal(ckpt_status_text(all[i]), "unknown status");
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(ckpt_status_text(all[i]), ckpt_status_text(all[j]));
            assert_string_not_equal(ckpt_status_name(all[i]), ckpt_status_name(all[j]));
        }
    }
}

static void names_are_those_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(ckpt_status_name(CKPT_ERR_FULL), "CKPT_ERR_FULL");
    assert_string_equal(ckpt_status_text(CKPT_ERR_FULL), "the arena has no free segments");
    assert_string_equal(ckpt_status_name(CKPT_OK), "CKPT_OK");
}

static void an_unknown_number_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(ckpt_status_text((enum ckpt_status)9999), "unknown status");
    assert_string_equal(ckpt_status_name((enum ckpt_status)9999), "CKPT_ERR_UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_own_text),
        cmocka_unit_test(names_are_those_of_the_header),
        cmocka_unit_test(an_unknown_number_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
