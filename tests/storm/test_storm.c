/* SPDX-License-Identifier: Apache-2.0 */
/* Some seconds of both storms. CKPT_STORM_EVENTS in the environment makes each longer,
 * CKPT_STORM_SEED another one: an assertion that fails is found again under its seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storm/storm.h"

/* Short lives, so that none of them is spent in one corner. */
#define EVENTS_A_LIFE 1000

static uint64_t number_of(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : fallback;
}

typedef void storm_function(struct words *words, uint64_t events, struct storm_result *result_out);

static struct storm_result live(storm_function *storm, uint64_t events)
{
    struct storm_result sum = {0};
    struct words *words = malloc(sizeof(*words));
    assert_non_null(words);
    uint64_t seed = number_of("CKPT_STORM_SEED", 1);
    events = number_of("CKPT_STORM_EVENTS", events);
    for (uint64_t i = 0; i < events / EVENTS_A_LIFE; i++) {
        struct storm_result result;
        words_seed(words, seed + i);
        storm(words, EVENTS_A_LIFE, &result);
        sum.events += result.events;
        sum.commits += result.commits;
        sum.verdicts += result.verdicts;
        sum.restores += result.restores;
        sum.orders += result.orders;
        sum.sealed += result.sealed;
    }
    free(words);
    printf("%llu events: %llu commits, %llu verdicts (%llu of restores), %llu orders, %llu saves\n",
           (unsigned long long)sum.events, (unsigned long long)sum.commits,
           (unsigned long long)sum.verdicts, (unsigned long long)sum.restores,
           (unsigned long long)sum.orders, (unsigned long long)sum.sealed);
    return sum;
}

static void test_coordinator(void **state)
{
    (void)state;
    struct storm_result result = live(storm_coordinator, 600000);
    assert_true(result.commits > 0);
    assert_true(result.restores > 0);
    assert_true(result.verdicts > 0);
    assert_true(result.orders > 0);
}

static void test_agent(void **state)
{
    (void)state;
    struct storm_result result = live(storm_agent, 600000);
    assert_true(result.sealed > 0);
    assert_true(result.verdicts > 0);
    assert_true(result.orders > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coordinator),
        cmocka_unit_test(test_agent),
    };
    return cmocka_run_group_tests_name("storm", tests, NULL, NULL);
}
