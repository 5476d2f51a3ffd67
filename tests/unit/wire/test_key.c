/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "wire/key.h"

static const struct shard_key shard = {
    .run = {.uid = 1000, .name = "llama"}, .attempt = 2, .step = 30, .rank = 4};

static void runs_are_equal_by_owner_and_name(void **state)
{
    struct run_key same = shard.run, owner = shard.run, name = shard.run, longer = shard.run;

    (void)state;
    memset(same.name + sizeof("llama"), 'x', sizeof(same.name) - sizeof("llama"));
    owner.uid++;
    name.name[4] = 'b';
    longer.name[5] = '2';
    assert_true(run_key_equal(&shard.run, &same)); /* what is behind the NUL says nothing */
    assert_false(run_key_equal(&shard.run, &owner));
    assert_false(run_key_equal(&shard.run, &name));
    assert_false(run_key_equal(&shard.run, &longer));
}

static void a_name_of_full_length_ends_without_a_nul(void **state)
{
    struct run_key a = {.uid = 1}, b = {.uid = 1};

    (void)state;
    memset(a.name, 'a', sizeof(a.name));
    memset(b.name, 'a', sizeof(b.name));
    assert_true(run_key_equal(&a, &b));
    b.name[sizeof(b.name) - 1] = 'b';
    assert_false(run_key_equal(&a, &b));
}

static void shards_are_equal_by_all_of_their_key(void **state)
{
    struct shard_key same = shard, run = shard, attempt = shard, step = shard, rank = shard;

    (void)state;
    run.run.uid++;
    attempt.attempt++;
    step.step++;
    rank.rank++;
    assert_true(shard_key_equal(&shard, &same));
    assert_false(shard_key_equal(&shard, &run));
    assert_false(shard_key_equal(&shard, &attempt));
    assert_false(shard_key_equal(&shard, &step));
    assert_false(shard_key_equal(&shard, &rank));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_equal_by_owner_and_name),
        cmocka_unit_test(a_name_of_full_length_ends_without_a_nul),
        cmocka_unit_test(shards_are_equal_by_all_of_their_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
