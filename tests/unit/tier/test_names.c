/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tier/name.h"

static void a_run_s_folder_reads_back(void **state)
{
    static const char *const names[] = {"llama", "team/llama.v2", "a/b/c-1_2", "~"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct run_key run = {.uid = UINT32_MAX};
        struct run_key again;
        struct tier_name name;
        snprintf(run.name, sizeof(run.name), "%s", names[i]);
        assert_int_equal(tier_name_run(&run, &name), names[i][0] != '~');
        if (names[i][0] != '~') {
            assert_null(strchr(name.text, '/'));
            assert_true(tier_name_read_run(name.text, &again));
            assert_true(run_key_equal(&run, &again));
        }
    }
}

static void only_our_own_names_are_read(void **state)
{
    static const char *const runs[] = {"",          "llama",   "1000",  "1000-",        "-1-a",
                                       "+1-a",      " 1-a",    "01-a",  "1-..",         "1-~a",
                                       "1-a~",      "1-a~~b",  "1-a b", "4294967296-a", "1-a\xff",
                                       ".incoming", "1-a~..~b"};
    static const char *const checkpoints[] = {"step-1-attempt-1",
                                              "step-00000000000000000001-attempt-1",
                                              "step-00000000000000000001-attempt-0000000001x",
                                              "step-00000000000000000001-attempt-9999999999",
                                              "step-18446744073709551615-attempt-0000000001",
                                              "step-00000000000000000001-Attempt-0000000001",
                                              "Step-00000000000000000001-attempt-0000000001",
                                              "step-+0000000000000000001-attempt-0000000001"};
    static const char *const ranks[] = {"rank-1.json",       "rank-00001.JSON", "rank-00001",
                                        "rank-000001.json",  "rank--0001.json", "rank-65536.json",
                                        "rank-00001.json.x", "rank- 0001.json"};
    struct run_key run;
    struct tier_checkpoint_key key;
    uint32_t rank;
    bool is_sidecar;
    enum tier_encoding encoding;
    (void)state;
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        assert_false(tier_name_read_run(runs[i], &run));
    }
    for (size_t i = 0; i < sizeof(checkpoints) / sizeof(checkpoints[0]); i++) {
        assert_false(tier_name_read_checkpoint(checkpoints[i], &key));
    }
    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
        assert_false(tier_name_read_rank(ranks[i], &rank, &is_sidecar, &encoding));
    }
    assert_true(tier_name_read_rank("rank-65535.safetensors", &rank, &is_sidecar, &encoding));
    assert_int_equal(rank, 65535);
    assert_false(is_sidecar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_s_folder_reads_back),
        cmocka_unit_test(only_our_own_names_are_read),
    };
    return cmocka_run_group_tests_name("tier_names", tests, NULL, NULL);
}
