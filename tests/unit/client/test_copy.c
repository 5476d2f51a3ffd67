/* SPDX-License-Identifier: Apache-2.0 */
/* The copy: every byte arrives where it belongs and no other is touched, for sizes and places
 * around every boundary and for any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/prng.h"
#include "base/stream_copy.h"
#include "client/copy.h"

#define GUARD 128
#define RUN_MAX (64 * 1024)

static void fill(uint8_t *bytes, size_t count, uint64_t seed)
{
    struct prng prng;
    prng_seed(&prng, seed);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(prng_next(&prng) >> 13);
    }
}

static void test_runs(void **state)
{
    (void)state;
    static uint8_t from[RUN_MAX + 2 * GUARD];
    static uint8_t to[RUN_MAX + 2 * GUARD];
    static uint8_t untouched[GUARD];
    static const size_t sizes[] = {0,    1,    63,   64,   65,    4095,  4096,  4097,
                                   4159, 4160, 4224, 4352, 65535, 65536, 20000, 5000};
    fill(from, sizeof(from), 1);
    memset(untouched, 0xee, sizeof(untouched));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (size_t shift = 0; shift < 130; shift += shift < 4 ? 1 : 21) {
            size_t start = GUARD - shift % GUARD;
            memset(to, 0xee, sizeof(to));
            stream_copy(to + start, from + (shift * 7) % GUARD, sizes[i]);
            assert_memory_equal(to + start, from + (shift * 7) % GUARD, sizes[i]);
            assert_memory_equal(to, untouched, start);
            assert_memory_equal(
                to + start + sizes[i], untouched,
                sizeof(to) - start - sizes[i] < GUARD ? sizeof(to) - start - sizes[i] : GUARD);
        }
    }
}

/* Pieces of random sizes, empty ones among them, in another order than they lie in the slot. */
static void test_pieces(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    static struct copy_piece pieces[COUNT];
    const size_t total = 40 * CKPT_MIB;
    uint8_t *from = malloc(total);
    uint8_t *to = malloc(total);
    uint8_t *wanted = malloc(total);
    struct prng prng;
    assert_non_null(from);
    assert_non_null(to);
    assert_non_null(wanted);
    fill(from, total, 2);
    prng_seed(&prng, 3);
    for (uint32_t threads = 0; threads <= 5; threads++) {
        uint64_t before = 0;
        uint64_t end = total;
        memset(to, 0, total);
        memset(wanted, 0, total);
        for (size_t i = 0; i < COUNT; i++) {
            uint64_t bytes = i == 7       ? 17 * CKPT_MIB
                             : i % 5 == 0 ? 0
                                          : prng_below(&prng, i % 3 == 0 ? 200000 : 300);
            uint64_t at = prng_below(&prng, total - bytes + 1);
            end -= bytes;
            pieces[i] = (struct copy_piece){end, from + at, bytes, before};
            memcpy(wanted + end, from + at, bytes);
            before += bytes;
        }
        copy_pieces(to, pieces, COUNT, threads);
        assert_memory_equal(to, wanted, total);
    }
    copy_pieces(to, pieces, 0, 4);
    assert_memory_equal(to, wanted, total);
    free(from);
    free(to);
    free(wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
