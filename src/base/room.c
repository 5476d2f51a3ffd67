/* SPDX-License-Identifier: Apache-2.0 */
#include "base/room.h"

#include <assert.h>

static uint64_t divide_up(uint64_t n, uint64_t by)
{
    return n / by + (n % by != 0);
}

uint64_t room_part_bytes(const struct room_kind *kind, uint64_t bytes)
{
    uint64_t part = kind->page_bytes;
    if (part == 0 || bytes == 0 || bytes >= kind->segment_bytes) {
        return 0;
    }
    while (part < bytes) {
        part *= 2;
    }
    return part < kind->segment_bytes ? part : 0;
}

uint64_t room_whole_segments(const struct room_kind *kind, uint64_t bytes)
{
    return divide_up(bytes, kind->segment_bytes);
}

uint64_t room_of_shard(const struct room_kind *kind, uint64_t bytes)
{
    uint64_t part = room_part_bytes(kind, bytes);
    return part > 0 ? part : room_whole_segments(kind, bytes) * kind->segment_bytes;
}

bool room_part_is_sound(const struct room_kind *kind, uint32_t segments,
                        const struct room_part *part)
{
    uint64_t bytes = part->bytes;
    return kind->page_bytes > 0 && bytes >= kind->page_bytes && (bytes & (bytes - 1)) == 0 &&
           bytes < kind->segment_bytes && part->segment < segments && part->offset % bytes == 0 &&
           part->offset <= kind->segment_bytes - bytes;
}

bool room_parts_overlap(const struct room_part *a, const struct room_part *b)
{
    return a->segment == b->segment && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
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
    uint64_t part = room_part_bytes(kind, bytes);
    if (part > 0) {
        return divide_up(shards, kind->segment_bytes / part);
    }
    uint64_t each = room_whole_segments(kind, bytes);
    return each > 0 && shards > UINT64_MAX / each ? UINT64_MAX : shards * each;
}

uint64_t room_largest_shard(const struct room_kind *kind, uint64_t segments,
                            const struct room_plan *plan)
{
    uint64_t shards = room_shards(plan);
    if (shards == 0 || segments >= shards) {
        return shards == 0 ? 0 : segments / shards * kind->segment_bytes;
    }
    uint64_t largest = 0;
    for (uint64_t part = kind->page_bytes; part > 0 && part < kind->segment_bytes; part *= 2) {
        largest = room_segments(kind, shards, part) <= segments ? part : largest;
    }
    return largest;
}
