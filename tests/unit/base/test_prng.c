/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

/* The numbers of the authors' programs: xoshiro256** from the state 1, 2, 3, 4, and SplitMix64 from
 * the seed 1234567. */
static void sequences_are_the_published_ones(void **state)
{
    (void)state;
    struct prng prng = {{1, 2, 3, 4}};
    assert_true(prng_next(&prng) == 11520);
    assert_true(prng_next(&prng) == 0);
    assert_true(prng_next(&prng) == 1509978240);
    assert_true(prng_next(&prng) == UINT64_C(1215971899390074240));
    prng_seed(&prng, 1234567);
    assert_true(prng.state[0] == UINT64_C(6457827717110365317));
    assert_true(prng.state[1] == UINT64_C(3203168211198807973));
    assert_true(prng.state[2] == UINT64_C(9817491932198370423));
    assert_true(prng.state[3] == UINT64_C(4593380528125082431));
}

static void below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 0);
    unsigned seen[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t n = prng_below(&prng, 7);
        assert_true(n < 7);
        seen[n]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(seen[i], 9500, 10500);
    }
    assert_true(prng_below(&prng, 0) == 0);
    assert_true(prng_below(&prng, 1) == 0);
    for (int i = 0; i < 1000; i++) {
        assert_true(prng_below(&prng, UINT64_MAX) < UINT64_MAX);
    }
}

static void chance_is_in_millionths(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 42);
    int hits = 0;
    for (int i = 0; i < 100000; i++) {
        assert_false(prng_chance(&prng, 0));
        assert_true(prng_chance(&prng, 1000000));
        hits += prng_chance(&prng, 250000);
    }
    assert_in_range(hits, 24500, 25500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_the_published_ones),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(chance_is_in_millionths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
