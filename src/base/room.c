/* SPDX-License-Identifier: Apache-2.0 */
#include "base/room.h"

#include <assert.h>

static uint64_t divide_up(uint64_t n, uint64_t by)
{
    return n / by + (n % by != 0);
}

uint64_t room_of_shard(const struct room_kind *kind, uint64_t bytes)
{
    return divide_up(bytes, kind->segment_bytes) * kind->segment_bytes;
}

uint64_t room_shards(const struct room_plan *plan)
{
    assert(plan->copies > 0 && plan->nodes > 0);
    uint64_t shards = (uint64_t)plan->ranks * (plan->keep + 1) * plan->copies;
    /* With no more nodes than copies what a lost one held is made again nowhere. */
    return plan->nodes > plan->copies ? divide_up(shards * plan->nodes, plan->nodes - 1) : shards;
}

uint64_t room_segments(const struct room_kind *kind, uint64_t shards, uint64_t bytes)
{
    uint64_t each = divide_up(bytes, kind->segment_bytes);
    return each > 0 && shards > UINT64_MAX / each ? UINT64_MAX : shards * each;
}

uint64_t room_largest_shard(const struct room_kind *kind, uint64_t segments,
                            const struct room_plan *plan)
{
    uint64_t shards = room_shards(plan);
    return shards == 0 ? 0 : segments / shards * kind->segment_bytes;
}
