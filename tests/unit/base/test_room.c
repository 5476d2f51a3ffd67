/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/room.h"

static const struct room_kind kind = {.segment_bytes = 256 * CKPT_MIB, .page_bytes = 4096};

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
            assert_true(segments == 1 || room_largest_shard(&kind, segments - 1, &plan) < bytes);
        }
    }
}

/* At most twice its bytes, or a page; also where segments are no power of two. */
static void a_shard_takes_less_than_twice_its_bytes(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {2 * CKPT_MIB, 6 * CKPT_MIB, 10 * CKPT_MIB, 256 * CKPT_MIB};
    for (size_t i = 0; i < 4; i++) {
        for (uint64_t page = 4096; page <= 2 * CKPT_MIB; page *= 512) {
            struct room_kind any = {.segment_bytes = sizes[i], .page_bytes = page};
            for (uint64_t bytes = 1; bytes < CKPT_GIB; bytes += bytes / 3 + 1) {
                uint64_t room = room_of_shard(&any, bytes);
                assert_true(room >= bytes && (room < 2 * bytes || room == page));
                struct room_part part = {.bytes = room_part_bytes(&any, bytes)};
                assert_true(part.bytes == 0 || room_part_is_sound(&any, 1, &part));
            }
        }
    }
    assert_int_equal(room_of_shard(&kind, 8000), 8192);
    assert_int_equal(room_of_shard(&kind, 1), 4096);
    struct room_kind old = {.segment_bytes = 256 * CKPT_MIB};
    assert_int_equal(room_of_shard(&old, 1), 256 * CKPT_MIB);
}

static void parts_lie_at_multiples_of_themselves(void **state)
{
    (void)state;
    struct room_part good = {.segment = 3, .offset = 64 * CKPT_KIB, .bytes = 64 * CKPT_KIB};
    assert_true(room_part_is_sound(&kind, 4, &good));
    assert_false(room_part_is_sound(&kind, 3, &good));
    struct room_part bad = good;
    bad.offset = 4096;
    assert_false(room_part_is_sound(&kind, 4, &bad));
    bad = good;
    bad.bytes = 3 * 4096;
    assert_false(room_part_is_sound(&kind, 4, &bad));
    bad.bytes = 2048;
    assert_false(room_part_is_sound(&kind, 4, &bad));
    bad = (struct room_part){.bytes = 256 * CKPT_MIB};
    assert_false(room_part_is_sound(&kind, 4, &bad));
    bad = (struct room_part){.bytes = 4096, .offset = 256 * CKPT_MIB};
    assert_false(room_part_is_sound(&kind, 4, &bad));
    struct room_part next = {.segment = 3, .offset = 128 * CKPT_KIB, .bytes = 4096};
    assert_false(room_parts_overlap(&good, &next));
    next.offset -= 4096;
    assert_true(room_parts_overlap(&good, &next));
    next.segment = 2;
    assert_false(room_parts_overlap(&good, &next));
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
        cmocka_unit_test(a_shard_takes_less_than_twice_its_bytes),
        cmocka_unit_test(parts_lie_at_multiples_of_themselves),
        cmocka_unit_test(more_than_can_be_counted_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
