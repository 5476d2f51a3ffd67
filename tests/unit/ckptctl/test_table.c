/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ckptctl/table.h"

static const struct column columns[] = {{"NODE", false}, {"RANKS", true}, {"STATE", false}};

/* Prints it, and what standard output got is in text. */
static void print(struct table *table, bool color, char *text, size_t size)
{
    const struct ctl ctl = {.color = color};
    FILE *file = tmpfile();
    int stdout_before = dup(STDOUT_FILENO);

    assert_non_null(file);
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    table_print(table, &ctl, "no nodes");
    fflush(stdout);
    dup2(stdout_before, STDOUT_FILENO);
    close(stdout_before);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static struct table *two_nodes(void)
{
    struct table *table = table_make(columns, 3);

    table_cell(table, STYLE_PLAIN, "a-long-name");
    table_cell(table, STYLE_PLAIN, "%d", 8);
    table_cell(table, STYLE_GOOD, "up");
    table_cell(table, STYLE_PLAIN, "n2");
    table_cell(table, STYLE_PLAIN, "%d", 12);
    table_cell(table, STYLE_BAD, "away");
    return table;
}

static void columns_are_as_wide_as_their_widest(void **state)
{
    char text[512];

    (void)state;
    print(two_nodes(), false, text, sizeof(text));
    assert_string_equal(text, "NODE         RANKS  STATE\n"
                              "a-long-name      8  up\n"
                              "n2              12  away\n");
}

static void colours_are_around_the_text_and_take_no_room(void **state)
{
    char text[512];

    (void)state;
    print(two_nodes(), true, text, sizeof(text));
    assert_non_null(strstr(text, "a-long-name      8  \033[32mup\033[0m\n"));
    assert_non_null(strstr(text, "n2              12  \033[1;31maway\033[0m\n"));
}

static void a_table_without_rows_says_so(void **state)
{
    char text[512];

    (void)state;
    print(table_make(columns, 3), false, text, sizeof(text));
    assert_string_equal(text, "no nodes\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest),
        cmocka_unit_test(colours_are_around_the_text_and_take_no_room),
        cmocka_unit_test(a_table_without_rows_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
