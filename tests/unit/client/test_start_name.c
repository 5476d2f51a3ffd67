/* SPDX-License-Identifier: Apache-2.0 */
/* How launchers' environments name a start: alike for its ranks, and otherwise for every other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/start_name.h"

struct launch {
    const char *text;
    const char *variables[12]; /* name, value, ... */
};

#define STEP(job, restart, step, nodes)                                                            \
    "SLURM_CLUSTER_NAME", "alps", "SLURM_JOB_ID", job, "SLURM_RESTART_COUNT", restart,             \
        "SLURM_STEP_ID", step, "SLURM_STEP_NODELIST", nodes

static struct nonce name_of(const struct launch *launch)
{
    static const char *const known[] = {
        "CKPT_START",          "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID",   "SLURM_CLUSTER_NAME",
        "SLURM_RESTART_COUNT", "SLURM_STEP_ID",       "SLURM_HET_SIZE", "SLURM_STEP_NODELIST"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_int_equal(unsetenv(known[i]), 0);
    }
    for (size_t i = 0; i < 12 && launch->variables[i] != NULL; i += 2) {
        assert_int_equal(setenv(launch->variables[i], launch->variables[i + 1], 1), 0);
    }
    return client_start_name();
}

static void each_start_has_a_name_of_its_own(void **state)
{
    (void)state;
    static const struct launch launches[] = {
        {"a step", {STEP("7", "0", "0", "n[1-3]")}},
        {"the next step", {STEP("7", "0", "1", "n[1-3]")}},
        {"after a requeue", {STEP("7", "1", "0", "n[1-3]")}},
        {"another job", {STEP("8", "0", "0", "n[1-3]")}},
        {"a step of two components", {STEP("7", "0", "0", "n[1-3]"), "SLURM_HET_SIZE", "2"}},
        {"one of the second alone", {STEP("7", "0", "0", "n[2-3]"), "SLURM_HET_SIZE", "2"}},
        {"what a script exports", {"CKPT_START", "4"}},
    };
    static const size_t count = sizeof(launches) / sizeof(launches[0]);
    for (size_t i = 0; i < count; i++) {
        struct nonce name = name_of(&launches[i]);
        struct nonce again = name_of(&launches[i]);
        if (memcmp(&name, &(struct nonce){{0}}, sizeof(name)) == 0 ||
            memcmp(&name, &again, sizeof(name)) != 0) {
            fail_msg("%s has no name", launches[i].text);
        }
        for (size_t j = 0; j < i; j++) {
            struct nonce other = name_of(&launches[j]);
            if (memcmp(&name, &other, sizeof(name)) == 0) {
                fail_msg("%s and %s have one name", launches[i].text, launches[j].text);
            }
        }
    }
}

/* The nodes of a step tell starts apart only where steps are counted for each component. */
static void ranks_of_a_start_have_its_name(void **state)
{
    (void)state;
    struct launch one = {"", {STEP("7", "0", "0", "n[1-3]")}};
    struct launch without = {
        "", {"SLURM_CLUSTER_NAME", "alps", "SLURM_JOB_ID", "7", "SLURM_STEP_ID", "0"}};
    struct nonce name = name_of(&one);
    struct nonce other = name_of(&without);
    assert_memory_equal(&name, &other, sizeof(name));
}

static void what_is_the_same_for_several_names_none(void **state)
{
    (void)state;
    static const struct launch launches[] = {
        {"no launcher", {NULL}},
        {"a batch script", {"SLURM_JOB_ID", "7", "SLURM_CLUSTER_NAME", "alps"}},
        {"torchrun in a step", {STEP("7", "0", "0", "n1"), "TORCHELASTIC_RUN_ID", "x"}},
        {"components without their nodes",
         {"SLURM_JOB_ID", "7", "SLURM_STEP_ID", "0", "SLURM_HET_SIZE", "2"}},
    };
    for (size_t i = 0; i < sizeof(launches) / sizeof(launches[0]); i++) {
        struct nonce name = name_of(&launches[i]);
        if (memcmp(&name, &(struct nonce){{0}}, sizeof(name)) != 0) {
            fail_msg("%s has a name", launches[i].text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_start_has_a_name_of_its_own),
        cmocka_unit_test(ranks_of_a_start_have_its_name),
        cmocka_unit_test(what_is_the_same_for_several_names_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
