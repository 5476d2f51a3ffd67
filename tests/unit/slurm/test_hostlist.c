/* SPDX-License-Identifier: Apache-2.0 */
/* What `scontrol show hostnames` says of the same lists (22.05.8) was taken down as the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "slurm/hostlist.h"

static char text[4096];

static bool note(const char *host, void *context)
{
    (void)context;
    size_t used = strlen(text);
    snprintf(text + used, sizeof(text) - used, "%s%s", used > 0 ? " " : "", host);
    return true;
}

static enum ckpt_status walk(const char *list)
{
    text[0] = '\0';
    return slurm_hostlist_walk(list, strlen(list), note, NULL);
}

static void lists_are_expanded(void **state)
{
    (void)state;
    static const char *const lists[][2] = {
        {"n1", "n1"},
        {"n1,n2", "n1 n2"},
        {"n[1-3]", "n1 n2 n3"},
        {"n[1-2,7]", "n1 n2 n7"},
        {"n[08-11]", "n08 n09 n10 n11"},
        {"n[1-2],login", "n1 n2 login"},
        {"gpu-[1-2].cluster", "gpu-1.cluster gpu-2.cluster"},
        {"r[1-2]n[1-2]", "r1n1 r1n2 r2n1 r2n2"},
        {"a[1,3],b[2]", "a1 a3 b2"},
        {"n[9-10]", "n9 n10"},
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        assert_int_equal(walk(lists[i][0]), CKPT_OK);
        assert_string_equal(text, lists[i][1]);
    }
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "",    "n[",    "n[1",    "n[]", "n[1-]",   "n[-2]",  "n[3-1]",  "n[1-2,",        "n1,",
        ",n1", "n[1]]", "n[a-b]", "n 1", "n[1 -2]", "n[1;2]", "n[1-2x]", "n[12345678901]"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        assert_int_equal(walk(lists[i]), CKPT_ERR_INVALID);
    }
}

static void a_list_has_an_end(void **state)
{
    (void)state;
    char name[400];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(walk(name), CKPT_ERR_INVALID);
    const char many[] = "n[1-999999]";
    assert_false(slurm_hostlist_has(many, strlen(many), "none"));
    const char nested[] = "n[1-999][1-999][1-999][1-999]";
    assert_false(slurm_hostlist_has(nested, strlen(nested), "none"));
    assert_true(slurm_hostlist_has(many, strlen(many), "n65536"));
    assert_false(slurm_hostlist_has(many, strlen(many), "n65537"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_expanded),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(a_list_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
