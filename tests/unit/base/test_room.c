/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/room.h"

static const struct room_kind kind = {.segment_bytes = 256 * CKPT_MIB};

static void a_plan_counts_keep_copies_and_a_lost_node(void **state)
{
    (void)state;
    struct room_plan plan = {.ranks = 8, .keep = 2, .copies = 2, .nodes = 16};
    assert_int_equal(room_shards(&plan), 52); /* 48 x 16 / 15, and none in pieces */
    plan.nodes = 2;
    assert_int_equal(room_shards(&plan), 48);
    plan = (struct room_plan){.ranks = 1, .keep = 1, .copies = 1, .nodes = 1};
    assert_int_equal(room_shards(&plan), 2);
}

static void what_a_plan_asks_for_is_what_its_answer_holds(void **state)
{
    (void)state;
    for (uint32_t ranks = 1; ranks <= 16; ranks++) {
        for (uint64_t bytes = 1000; bytes < 40 * CKPT_GIB; bytes *= 3) {
            struct room_plan plan = {
                .ranks = ranks, .bytes = bytes, .keep = 2, .copies = 2, .nodes = 4};
            uint64_t segments = room_segments(&kind, room_shards(&plan), bytes);
            assert_true(room_largest_shard(&kind, segments, &plan) >= bytes);
            assert_true(room_largest_shard(&kind, segments - 1, &plan) < bytes);
        }
    }
}

static void more_than_can_be_counted_is_said(void **state)
{
    (void)state;
    assert_true(room_segments(&kind, UINT64_MAX, CKPT_GIB) == UINT64_MAX);
    assert_int_equal(room_of_shard(&kind, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_counts_keep_copies_and_a_lost_node),
        cmocka_unit_test(what_a_plan_asks_for_is_what_its_answer_holds),
        cmocka_unit_test(more_than_can_be_counted_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
