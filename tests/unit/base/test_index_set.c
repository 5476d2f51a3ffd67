/* SPDX-License-Identifier: Apache-2.0 */
/* Against a plain array of flags, in sizes around the powers of 64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/index_set.h"
#include "base/prng.h"

static uint32_t plain_from(const bool *members, uint32_t size, uint32_t from)
{
    for (uint32_t i = from; i < size; i++) {
        if (members[i]) {
            return i;
        }
    }
    return INDEX_SET_NONE;
}

static void compare(uint32_t size, uint64_t seed)
{
    struct prng prng;
    struct index_set set;
    bool *members = calloc(size, sizeof *members);
    uint64_t *words = calloc(index_set_words(size), sizeof *words);
    assert_non_null(members);
    assert_non_null(words);
    prng_seed(&prng, seed);
    index_set_init(&set, size, words);
    assert_int_equal(index_set_from(&set, 0), INDEX_SET_NONE);
    for (int i = 0; i < 4000; i++) {
        uint32_t index = (uint32_t)prng_below(&prng, size);
        bool member = prng_chance(&prng, i % 1000 < 500 ? 800000 : 200000);
        index_set_put(&set, index, member);
        members[index] = member;
        assert_int_equal(index_set_has(&set, index), member);
        uint32_t from = (uint32_t)prng_below(&prng, size + 2);
        assert_int_equal(index_set_from(&set, from), plain_from(members, size, from));
    }
    for (uint32_t i = 0; (i = index_set_from(&set, i)) != INDEX_SET_NONE;) {
        assert_true(members[i]);
        index_set_remove(&set, i);
    }
    assert_int_equal(index_set_from(&set, 0), INDEX_SET_NONE);
    free(words);
    free(members);
}

static void finds_what_a_plain_search_finds(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 2, 63, 64, 65, 4095, 4096, 4097, 262145};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        compare(sizes[i], i);
    }
}

static void words_are_few(void **state)
{
    (void)state;
    assert_int_equal(index_set_words(1), 1);
    assert_int_equal(index_set_words(64), 1);
    assert_int_equal(index_set_words(65), 3);
    assert_int_equal(index_set_words(1 << 20), 16384 + 256 + 4 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_plain_search_finds),
        cmocka_unit_test(words_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
