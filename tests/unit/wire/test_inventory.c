/* SPDX-License-Identifier: Apache-2.0 */
/* The weights: each word of a report counts, and both ends of an older build make the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/inventory.h"

static const struct shard_key key = {
    .run = {.uid = 1000, .name = "pretraining/70b"}, .attempt = 3, .step = 12000, .rank = 17};

static uint64_t weight(const struct shard_key *shard)
{
    struct digest digest;
    memset(&digest, 7, sizeof digest);
    return inventory_copy(inventory_shard(shard), 5, COPY_VERIFIED, true, false, &digest);
}

/* Written down from this code: a change of them is a change of the protocol. */
static void weights_are_part_of_the_protocol(void **state)
{
    (void)state;
    struct digest digest;
    memset(&digest, 7, sizeof digest);
    uint64_t shard = inventory_shard(&key);
    assert_true(shard == UINT64_C(0x94f0a8769dc4ac0d));
    assert_true(weight(&key) == UINT64_C(0x42de7c98127f6c6a));
    assert_true(inventory_consistent(weight(&key)) == UINT64_C(0x1bf83f51366cb56d));
    assert_true(inventory_copy(shard, 5, COPY_SEALED, true, false, &digest) ==
                UINT64_C(0xb676fdaf9c317502));
}

static void each_word_of_a_report_counts(void **state)
{
    (void)state;
    struct digest digest;
    struct digest other;
    memset(&digest, 7, sizeof digest);
    memset(&other, 8, sizeof other);
    uint64_t shard = inventory_shard(&key);
    struct shard_key keys[5] = {key, key, key, key, key};
    keys[0].run.uid++;
    strcpy(keys[1].run.name, "pretraining/71b");
    keys[2].attempt++;
    keys[3].step++;
    keys[4].rank++;
    for (size_t i = 0; i < 5; i++) {
        assert_true(weight(&keys[i]) != weight(&key));
    }
    const uint64_t others[] = {
        inventory_copy(shard, 6, COPY_VERIFIED, true, false, &digest),
        inventory_copy(shard, 5, COPY_ADOPTED, true, false, &digest),
        inventory_copy(shard, 5, COPY_SEALED, true, false, &digest),
        inventory_copy(shard, 5, COPY_VERIFIED, false, false, &digest),
        inventory_copy(shard, 5, COPY_VERIFIED, true, true, &digest),
        inventory_copy(shard, 5, COPY_VERIFIED, true, false, &other),
        inventory_consistent(weight(&key)),
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(others[i] != weight(&key));
    }
    assert_true(inventory_copy(shard, 5, COPY_SEALED, true, false, &digest) ==
                inventory_copy(shard, 5, COPY_SEALED, true, false, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_part_of_the_protocol),
        cmocka_unit_test(each_word_of_a_report_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
