/* SPDX-License-Identifier: Apache-2.0 */
/* Contiguous views in the agent's own process. */
#include "arena/guard.h"

enum ckpt_status arena_slot_map(struct arena *arena, const uint16_t *segments, uint32_t n,
                                uint64_t bytes, bool writable, struct arena_view *view_out)
{
    if (n == 0 || n > CKPT_SEGMENTS_PER_SHARD_MAX) {
        return CKPT_ERR_INVALID;
    }
    int fds[CKPT_SEGMENTS_PER_SHARD_MAX];
    for (uint32_t i = 0; i < n; i++) {
        const struct segment *segment = arena_find(arena, segments[i]);
        if (segment == NULL || (segment->at.bytes > 0 && n > 1)) {
            return CKPT_ERR_INVALID;
        }
        fds[i] = segment->fd;
    }
    struct arena_view view;
    enum ckpt_status status = arena_view_map(
        &(struct arena_view_files){.fds = fds,
                                   .count = n,
                                   .segment_bytes = arena->segment_bytes,
                                   .part_bytes = arena_find(arena, segments[0])->at.bytes},
        bytes, writable, &view);
    if (status != CKPT_OK) {
        return status;
    }
    status = arena_guard_add(arena, view.address, n, segments);
    if (status != CKPT_OK) {
        arena_view_unmap(&view);
        return status;
    }
    *view_out = view;
    return CKPT_OK;
}

void arena_slot_unmap(struct arena *arena, struct arena_view *view)
{
    (void)arena;
    if (view != NULL && view->address != NULL) {
        arena_guard_remove(view->address);
        arena_view_unmap(view);
    }
}
