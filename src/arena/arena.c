/* SPDX-License-Identifier: Apache-2.0 */
#include "arena/arena.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena/directory.h"
#include "arena/explain.h"
#include "arena/index.h"
#include "arena/segments.h"
#include "arena/state.h"
#include "arena/values.h"

static enum ckpt_status check_options(const struct arena_options *options,
                                      char reason[ARENA_REASON_BYTES])
{
    uint64_t segment_bytes =
        options->segment_bytes == 0 ? CKPT_SEGMENT_BYTES_DEFAULT : options->segment_bytes;
    if (segment_bytes % CKPT_SEGMENT_BYTES_MIN != 0 || segment_bytes > UINT64_C(1) << 40) {
        arena_explain(
            reason, "segment size %llu is not a multiple of %llu bytes (2 MiB), or is above 1 TiB",
            (unsigned long long)segment_bytes, (unsigned long long)CKPT_SEGMENT_BYTES_MIN);
        return CKPT_ERR_CONFIG;
    }
    if (options->segment_count == 0 || options->segment_count > CKPT_ARENA_SEGMENTS_MAX) {
        arena_explain(reason, "%u segments: an arena has 1 to %d; make the segments larger instead",
                      options->segment_count, CKPT_ARENA_SEGMENTS_MAX);
        return CKPT_ERR_CONFIG;
    }
    if (options->part_count > CKPT_ARENA_PARTS_MAX ||
        options->slot_count >
            (options->part_count > 0 ? CKPT_ARENA_SEGMENTS_MAX : options->segment_count)) {
        arena_explain(reason, "%u slots but only %u segments: a slot needs at least one",
                      options->slot_count, options->segment_count);
        return CKPT_ERR_CONFIG;
    }
    if (options->nodes != NULL &&
        (options->node_count == 0 || options->node_count > ARENA_NODES_MAX)) {
        arena_explain(reason, "%u NUMA nodes: 1 to %d can be bound to", options->node_count,
                      ARENA_NODES_MAX);
        return CKPT_ERR_CONFIG;
    }
    if (options->directory == NULL && (options->node_name == NULL || *options->node_name == 0 ||
                                       strchr(options->node_name, '/') != NULL)) {
        arena_explain(reason, "neither an arena directory nor a node name to name it after");
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

static struct arena *allocate(const struct arena_options *options)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL) {
        return NULL;
    }
    arena->segment_bytes =
        options->segment_bytes == 0 ? CKPT_SEGMENT_BYTES_DEFAULT : options->segment_bytes;
    arena->segment_count = options->segment_count;
    arena->slot_count = options->slot_count == 0 ? options->segment_count : options->slot_count;
    arena->lock = options->lock;
    arena->ask_transparent_huge_pages = options->huge_pages != ARENA_HUGE_PAGES_NEVER;
    arena->directory_fd = -1;
    arena->is_default_directory = options->directory == NULL;
    arena->is_stopped = options->is_stopped;
    arena->index_fd = -1;
    arena->part_count = options->part_count;
    arena->segments =
        calloc(arena->segment_count + (size_t)arena->part_count, sizeof *arena->segments);
    if (arena->segments == NULL || pthread_mutex_init(&arena->header_mutex, NULL) != 0) {
        free(arena->segments);
        free(arena);
        return NULL;
    }
    (void)pthread_mutex_init(&arena->values_mutex, NULL);
    for (uint32_t i = 0; i < arena->segment_count + arena->part_count; i++) {
        arena->segments[i].fd = -1;
        arena->segments[i].node = -1;
        if (options->nodes != NULL && i < arena->segment_count) {
            uint64_t index = (uint64_t)i * options->node_count / arena->segment_count;
            arena->segments[i].node = options->nodes[index];
        }
    }
    return arena;
}

/* Undoes as much of arena_open() as was done; with the files that it made, where nothing is to come
 * of it. */
static void release(struct arena *arena, bool discard)
{
    arena_segments_close(arena);
    arena_index_close(arena);
    arena_values_close(arena);
    if (discard) {
        arena_directory_undo(arena);
    }
    if (arena->directory_fd >= 0) {
        (void)close(arena->directory_fd);
    }
    (void)pthread_mutex_destroy(&arena->values_mutex);
    (void)pthread_mutex_destroy(&arena->header_mutex);
    free(arena->segments);
    free(arena);
}

enum ckpt_status arena_open(const struct arena_options *options, struct arena **arena_out,
                            char reason[ARENA_REASON_BYTES])
{
    enum ckpt_status status = check_options(options, reason);
    if (status != CKPT_OK) {
        return status;
    }
    struct arena *arena = allocate(options);
    if (arena == NULL) {
        arena_explain(reason, "out of memory for the arena's tables");
        return CKPT_ERR_MEMORY;
    }
    status = arena_directory_open(arena, options, true, reason);
    if (status == CKPT_OK) {
        status = arena_index_open(arena, reason);
    }
    if (status == CKPT_OK) {
        status = arena_segments_open(arena, options, reason);
    }
    if (status != CKPT_OK) {
        release(arena, true);
        return status;
    }
    arena->is_stopped = NULL;
    arena_values_open(arena);
    arena_index_publish(arena);
    *arena_out = arena;
    return CKPT_OK;
}

void arena_close(struct arena **arena)
{
    if (arena == NULL || *arena == NULL) {
        return;
    }
    release(*arena, false);
    *arena = NULL;
}

void arena_discard(struct arena **arena)
{
    if (*arena != NULL) {
        release(*arena, true);
        *arena = NULL;
    }
}

const char *arena_directory(const struct arena *arena)
{
    return arena->directory;
}

uint64_t arena_segment_bytes(const struct arena *arena)
{
    return arena->segment_bytes;
}

uint32_t arena_segment_count(const struct arena *arena)
{
    return arena->segment_count;
}

uint32_t arena_slot_count(const struct arena *arena)
{
    return arena->slot_count;
}

uint64_t arena_page_bytes(const struct arena *arena)
{
    return arena->page_bytes;
}

bool arena_is_locked(const struct arena *arena)
{
    return arena->huge || (arena->lock != ARENA_LOCK_OFF && !atomic_load(&arena->unlocked));
}
