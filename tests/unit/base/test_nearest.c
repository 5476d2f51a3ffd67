/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/nearest.h"

static const char *const names[] = {"listen", "linger", "copies", "log_level", "state"};

static const char *nearest(const char *word)
{
    return nearest_name(word, names, sizeof(names) / sizeof(names[0]));
}

static void slips_of_the_finger_are_found(void **state)
{
    (void)state;
    assert_string_equal(nearest("listne"), "listen");
    assert_string_equal(nearest("copeis"), "copies");
    assert_string_equal(nearest("copie"), "copies");
    assert_string_equal(nearest("loglevel"), "log_level");
    assert_string_equal(nearest("log_levels"), "log_level");
    assert_string_equal(nearest("stat"), "state");
    assert_string_equal(nearest("linger"), "linger");
    /* Two letters may differ in one only: a swap is one. */
    const char *const short_names[] = {"id"};
    assert_string_equal(nearest_name("di", short_names, 1), "id");
    assert_null(nearest_name("xy", short_names, 1));
}

static void strangers_have_no_neighbour(void **state)
{
    (void)state;
    assert_null(nearest("transport"));
    assert_null(nearest(""));
    assert_null(nearest("x"));
    assert_null(nearest_name("listen", names, 0));
    char word[100];
    memset(word, 'a', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    assert_null(nearest(word));
    const char *long_names[] = {word, "b"};
    assert_string_equal(nearest_name("b", long_names, 2), "b");
    word[63] = '\0';
    assert_string_equal(nearest_name(word, long_names, 2), word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_of_the_finger_are_found),
        cmocka_unit_test(strangers_have_no_neighbour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
