/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/sizes.h"

static void two_sizes_that_differ_are_told_apart(void **state)
{
    static const struct {
        uint64_t a, b;
        const char *text_a, *text_b;
    } cases[] = {
        {8 * CKPT_GIB, 4 * CKPT_GIB, "8.00 GiB", "4.00 GiB"},
        {512 * CKPT_MIB, 256 * CKPT_MIB, "0.50 GiB", "0.25 GiB"},
        {12 * CKPT_MIB, 9 * CKPT_MIB, "12 MiB", "9 MiB"},
        {256 * CKPT_GIB, 256 * CKPT_GIB - CKPT_MIB, "262144 MiB", "262143 MiB"},
        {CKPT_MIB + 2 * CKPT_KIB, CKPT_MIB, "1026 KiB", "1024 KiB"},
        {4097, 4096, "4097 bytes", "4096 bytes"},
        {CKPT_GIB, CKPT_GIB, "1.00 GiB", "1.00 GiB"},
        {0, 1, "0 bytes", "1 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct size_pair pair = size_pair(cases[i].a, cases[i].b);
        assert_string_equal(pair.a, cases[i].text_a);
        assert_string_equal(pair.b, cases[i].text_b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sizes_that_differ_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
