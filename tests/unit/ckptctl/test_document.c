/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ckptctl/document.h"

static void what_is_missing_is_nothing(void **state)
{
    json_t *document = json_pack("{s:i, s:s, s:b}", "step", 7, "run", "llama", "old", 1);

    (void)state;
    assert_int_equal(field_number(document, "step"), 7);
    assert_string_equal(field_text(document, "run"), "llama");
    assert_true(field_true(document, "old"));
    assert_int_equal(field_number(document, "run"), 0);
    assert_string_equal(field_text(document, "step"), "");
    assert_false(field_true(document, "none"));
    json_decref(document);
}

/* The names, in the order of the array. */
static void order(char *text, const json_t *array)
{
    size_t i;
    json_t *entry;

    text[0] = '\0';
    json_array_foreach(array, i, entry)
    {
        text[i] = field_text(entry, "name")[0];
        text[i + 1] = '\0';
    }
}

static void equals_keep_their_order_both_ways(void **state)
{
    char text[8];
    json_t *array =
        json_pack("[{s:s, s:i}, {s:s, s:i}, {s:s, s:i}, {s:s, s:i}]", "name", "a", "key", 2, "name",
                  "b", "key", 1, "name", "c", "key", 2, "name", "d", "key", 1);

    (void)state;
    sort_by(array, "key", false);
    order(text, array);
    assert_string_equal(text, "bdac");
    sort_by(array, "key", true);
    order(text, array);
    assert_string_equal(text, "acbd");
    json_decref(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_nothing),
        cmocka_unit_test(equals_keep_their_order_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
