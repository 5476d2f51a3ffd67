/* SPDX-License-Identifier: Apache-2.0 */
/* Who sends what to whom: every receiver gets every block once, no link bears too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "fanout/plan.h"

static struct fanout_plan plan;

static uint64_t block_count(void)
{
    return (plan.bytes + FANOUT_BLOCK_BYTES - 1) / FANOUT_BLOCK_BYTES;
}

/* Follows a block from its sender on; counts what each rank gets and gives. */
static void follow(uint64_t block, uint32_t *got, uint32_t *gave)
{
    uint32_t sender = plan_piece(&plan, block * FANOUT_BLOCK_BYTES / plan.piece_bytes).sender;
    uint32_t to;
    for (uint32_t door = 0; (to = plan_door(&plan, block, door)) != FANOUT_NOBODY; door++) {
        uint32_t from = sender;
        for (uint32_t steps = 0; to != FANOUT_NOBODY; steps++) {
            assert_true(steps < plan.receiver_count);
            assert_true(plan_is_linked(&plan, from, to));
            assert_false(plan.holds[to]);
            gave[from]++;
            got[to]++;
            from = to;
            to = plan_next(&plan, from, block);
        }
    }
}

static void look(uint32_t ranks)
{
    uint32_t *gave = calloc(ranks, sizeof(*gave));
    uint64_t blocks = block_count();
    for (uint64_t block = 0; block < blocks; block++) {
        uint32_t *got = calloc(ranks, sizeof(*got));
        follow(block, got, gave);
        for (uint32_t rank = 0; rank < ranks; rank++) {
            assert_int_equal(got[rank], plan.holds[rank] ? 0 : 1);
        }
        free(got);
    }
    for (uint32_t rank = 0; rank < ranks && plan.shape != FANOUT_STAR; rank++) {
        assert_true(gave[rank] <= blocks); /* each byte leaves a rank once at most */
        /* Relays give all alike: every block but those that end with them. */
        if (plan.shape == FANOUT_RELAY && !plan.holds[rank]) {
            uint64_t ends = blocks / plan.receiver_count;
            assert_true(gave[rank] + ends <= blocks && gave[rank] + ends + 1 >= blocks);
        }
    }
    free(gave);
}

static void every_receiver_gets_each_block_once(void **state)
{
    struct prng prng;
    (void)state;
    prng_seed(&prng, 1);
    for (int i = 0; i < 300; i++) {
        bool holds[64] = {false};
        uint32_t ranks = 1 + (uint32_t)prng_below(&prng, i < 200 ? 12 : 64);
        for (uint32_t rank = 0; rank < ranks; rank++) {
            holds[rank] = prng_below(&prng, 4) == 0;
        }
        holds[prng_below(&prng, ranks)] = true;
        for (uint32_t shape = FANOUT_CHAIN; shape <= FANOUT_STAR; shape++) {
            plan_make(&plan, 1 + prng_below(&prng, 40 * CKPT_MIB),
                      (1 + prng_below(&prng, 5)) * CKPT_MIB, (enum fanout_shape)shape, holds,
                      ranks);
            assert_int_equal(plan.sender_count + plan.receiver_count, ranks);
            look(ranks);
        }
    }
}

static void pieces_are_the_shard_and_senders_take_turns(void **state)
{
    const bool holds[5] = {false, true, false, true, false};
    uint64_t end = 0;
    (void)state;
    plan_make(&plan, 10 * CKPT_MIB + 1, 4 * CKPT_MIB, FANOUT_CHAIN, holds, 5);
    assert_int_equal(plan_piece_count(&plan), 3);
    assert_int_equal(plan_at_once(&plan), 2);
    for (uint64_t i = 0; i < 3; i++) {
        struct fanout_piece piece = plan_piece(&plan, i);
        assert_int_equal(piece.offset, end);
        assert_int_equal(piece.sender, i % 2 == 0 ? 1 : 3);
        end += piece.bytes;
    }
    assert_int_equal(end, plan.bytes);
}

/* Two senders do not push at the same receiver, and a chain's end gives nothing on. */
static void chains_begin_apart(void **state)
{
    const bool holds[6] = {true, true};
    (void)state;
    plan_make(&plan, 8 * CKPT_MIB, CKPT_MIB, FANOUT_CHAIN, holds, 6);
    assert_int_equal(plan_door(&plan, 0, 0), 2);
    assert_int_equal(plan_door(&plan, 1, 0), 4);
    assert_int_equal(plan_next(&plan, 5, 0), FANOUT_NOBODY);
    assert_int_equal(plan_next(&plan, 5, 1), 2);
    assert_false(plan_is_linked(&plan, 0, 4));
    assert_true(plan_is_linked(&plan, 1, 4));
    assert_false(plan_is_linked(&plan, 2, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_receiver_gets_each_block_once),
        cmocka_unit_test(pieces_are_the_shard_and_senders_take_turns),
        cmocka_unit_test(chains_begin_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
