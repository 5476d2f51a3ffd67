/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes that a copy takes on a node, and those that are left there. */
#include "coordinator/fit.h"

#include <assert.h>

#include "base/room.h"

static struct room_kind kind_of(const struct coordinator *c, uint32_t member)
{
    return (struct room_kind){.segment_bytes = c->members[member].segment_bytes,
                              .page_bytes = c->members[member].page_bytes};
}

uint64_t coordinator_shard_room(const struct coordinator *c, const struct shard *s, uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    struct room_kind kind = kind_of(c, member);
    return room_of_shard(&kind, s->bytes);
}

struct placement_room coordinator_shard_needs(const struct coordinator *c, const struct shard *s,
                                              uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    struct room_kind kind = kind_of(c, member);
    uint64_t segments = room_whole_segments(&kind, s->bytes);
    return (struct placement_room){.segments =
                                       segments > UINT32_MAX ? UINT32_MAX : (uint32_t)segments,
                                   .part_bytes = room_part_bytes(&kind, s->bytes)};
}

void coordinator_shard_take_room(struct coordinator *c, const struct shard *s, uint32_t member)
{
    assert(s->used);
    assert(member < c->member_count);
    struct placement_member *place = &c->places[member];
    struct placement_room needs = coordinator_shard_needs(c, s, member);
    struct placement_room part = {.segments = UINT32_MAX, .part_bytes = needs.part_bytes};
    if (placement_has_room(place, &part)) {
        place->part_bytes_free -= needs.part_bytes;
        return;
    }
    bool cuts = needs.part_bytes > 0 && place->segments_free > 0;
    place->segments_free -=
        needs.segments < place->segments_free ? needs.segments : place->segments_free;
    if (cuts) {
        uint64_t rest = c->members[member].segment_bytes - needs.part_bytes;
        place->part_bytes_free += rest;
        place->part_bytes_largest =
            rest > place->part_bytes_largest ? rest : place->part_bytes_largest;
    }
}
