/* SPDX-License-Identifier: Apache-2.0 */
/* Passes over a shard: each byte of the device's in one, gaps and runs as a plain loop finds
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "device/passes.h"

#define PARTS_MAX 200
enum kind { HOST, SMALL, LARGE };

static uint8_t *kinds; /* of each byte of the shard */
static uint8_t *seen;

static void check_pass(const struct passes *passes, const struct pass *pass)
{
    struct pass_range gap = {0}, run = {0};
    assert_int_equal(pass->begin % CKPT_CHUNK_BYTES, 0);
    assert_true(pass->end == passes->shard_bytes || pass->end % CKPT_CHUNK_BYTES == 0);
    assert_true(pass->end > pass->begin && pass->end - pass->begin <= passes->window_bytes);
    memset(seen, LARGE, pass->end - pass->begin);
    uint64_t before = pass->begin;
    while (passes_gap(passes, pass, &gap)) {
        assert_true(gap.begin >= before && gap.end > gap.begin && gap.end <= pass->end);
        memset(seen + gap.begin - pass->begin, HOST, gap.end - gap.begin);
        before = gap.end;
    }
    before = pass->begin;
    while (passes_run(passes, pass, &run)) {
        assert_true(run.begin >= before && run.end > run.begin && run.end <= pass->end);
        memset(seen + run.begin - pass->begin, SMALL, run.end - run.begin);
        before = run.end;
    }
    assert_memory_equal(seen, kinds + pass->begin, pass->end - pass->begin);
    for (uint64_t at = pass->begin; at < pass->end; at += CKPT_CHUNK_BYTES) {
        bool has = false;
        for (uint64_t i = at; i < pass->end && i < at + CKPT_CHUNK_BYTES && !has; i++) {
            has = kinds[i] != HOST;
        }
        assert_true(has); /* chunks that are the host's alone are in no pass */
    }
}

static void passes__have_each_byte_once(void **state)
{
    (void)state;
    struct prng prng;
    static struct device_part parts[PARTS_MAX];
    prng_seed(&prng, 3);
    for (int round = 0; round < 60; round++) {
        size_t count = 0;
        uint64_t at = prng_below(&prng, 3) * 1000;
        while (count < PARTS_MAX && at < 9 * CKPT_MIB && prng_below(&prng, 60) != 0) {
            uint64_t bytes = prng_below(&prng, 4) == 0 ? 1 + prng_below(&prng, 3 * CKPT_MIB)
                                                       : 1 + prng_below(&prng, 70000);
            parts[count++] = (struct device_part){.place = at, .bytes = bytes, .address = 1};
            at += bytes;
            at += prng_below(&prng, 3) == 0 ? prng_below(&prng, 2 * CKPT_MIB) : 0;
        }
        uint64_t shard_bytes = at + prng_below(&prng, 2) * 5000 + 1;
        kinds = calloc(1, shard_bytes);
        seen = malloc(shard_bytes);
        for (size_t i = 0; i < count; i++) {
            memset(kinds + parts[i].place, device_part_is_small(&parts[i]) ? SMALL : LARGE,
                   parts[i].bytes);
        }
        struct passes passes = {.parts = parts,
                                .count = count,
                                .shard_bytes = shard_bytes,
                                .window_bytes = (1 + prng_below(&prng, 3)) * CKPT_MIB};
        struct pass pass;
        uint64_t done = 0;
        while (passes_next(&passes, &pass)) {
            assert_true(pass.begin >= done);
            for (; done < pass.begin; done++) {
                assert_int_equal(kinds[done], HOST);
            }
            check_pass(&passes, &pass);
            done = pass.end;
        }
        for (; done < shard_bytes; done++) {
            assert_int_equal(kinds[done], HOST);
        }
        free(kinds);
        free(seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(passes__have_each_byte_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
