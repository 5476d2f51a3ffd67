/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/transport.h"

static void expect_refused(const char *spec, const char *words)
{
    struct transport *t = (struct transport *)0x1;

    assert_int_equal(transport_open(spec, NULL, &t), CKPT_ERR_CONFIG);
    assert_ptr_equal(t, (struct transport *)0x1);
    if (strstr(transport_open_error(), words) == NULL) {
        fail_msg("%s: \"%s\" lacks \"%s\"", spec, transport_open_error(), words);
    }
}

static void test_unknown_names(void **state)
{
    (void)state;
    expect_refused("", "unknown transport \"\"; known: loop");
    expect_refused("smoke", "unknown transport \"smoke\"; known: loop");
    expect_refused("loo", "known:");
    expect_refused("loop:fast", "takes no arguments");
}

/* Where the build has verbs, that says itself why it does not open. */
#ifndef CKPT_VERBS
static void test_verbs_left_out_of_a_build_says_so(void **state)
{
    (void)state;
    expect_refused("verbs", "built without libibverbs");
    expect_refused("verbs:mlx5_0", "built without libibverbs");
    expect_refused("verb", "unknown transport");
}
#endif

static void test_success_clears_the_error(void **state)
{
    struct transport *t = NULL;

    (void)state;
    expect_refused("smoke", "unknown");
    assert_int_equal(transport_open("loop", NULL, &t), CKPT_OK);
    assert_string_equal(transport_open_error(), "");
    transport_close(t, NULL, NULL);
    transport_close(NULL, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_names),
#ifndef CKPT_VERBS
        cmocka_unit_test(test_verbs_left_out_of_a_build_says_so),
#endif
        cmocka_unit_test(test_success_clears_the_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
