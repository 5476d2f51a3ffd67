/* SPDX-License-Identifier: Apache-2.0 */
/* One segment or part: where it is, and how large. */
#include "arena/state.h"

int arena_segment_node(const struct arena *arena, uint32_t id)
{
    const struct segment *segment = arena_find(arena, id);
    return segment != NULL ? segment->node : -1;
}

uint64_t arena_memory_bytes(const struct arena *arena, uint32_t id)
{
    const struct segment *segment = arena_find(arena, id);
    return segment != NULL ? arena_bytes_of(arena, segment) : 0;
}

uint8_t *arena_segment_address(const struct arena *arena, uint32_t id)
{
    const struct segment *segment = arena_find(arena, id);
    if (segment == NULL) {
        return NULL;
    }
    const struct room_part *at = &segment->at;
    return arena->base + (at->bytes > 0 ? at->segment : id) * arena->segment_bytes + at->offset;
}
