/* SPDX-License-Identifier: Apache-2.0 */
/* Contiguous views in the agent's own process. */
#include "arena/inside.h"

enum ckpt_status arena_slot_map(struct arena *arena, const uint16_t *segments, uint32_t n,
                                uint64_t bytes, bool writable, struct arena_view *view_out)
{
    if (n == 0 || n > CKPT_SEGMENTS_PER_SHARD_MAX) {
        return CKPT_ERR_INVALID;
    }
    int fds[CKPT_SEGMENTS_PER_SHARD_MAX];
    for (uint32_t i = 0; i < n; i++) {
        if (segments[i] >= arena->segment_count) {
            return CKPT_ERR_INVALID;
        }
        fds[i] = arena->segments[segments[i]].fd;
    }
    struct arena_view view;
    enum ckpt_status status = arena_view_map(fds, n, arena->segment_bytes, bytes, writable, &view);
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
