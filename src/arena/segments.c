/* SPDX-License-Identifier: Apache-2.0 */
/* All segments of an arena, made or adopted by several threads at once. */
#include "arena/segments.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena/directory.h"
#include "arena/explain.h"
#include "arena/guard.h"
#include "arena/parts.h"
#include "arena/pin.h"
#include "arena/preflight.h"

#define THREADS_MAX 16u

/* One arena_open()'s work, shared by its threads. */
struct crew {
    struct arena *arena;
    atomic_uint next;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    enum ckpt_status status; /* the first error stops all */
    char reason[ARENA_REASON_BYTES];
    uint32_t done_count;
    uint32_t done[CKPT_ARENA_SEGMENTS_MAX]; /* ids, in the order they were finished */
};

static enum ckpt_status prepare(struct arena *arena, uint32_t id, char reason[ARENA_REASON_BYTES])
{
    struct segment *segment = &arena->segments[id];
    uint8_t *address = arena->base + id * arena->segment_bytes;
    if (atomic_load(&segment->cut)) {
        return arena_parts_pin(arena, id, reason);
    }
    if (segment->fd >= 0) {
        struct pin pin = {
            .id = id, .fd = segment->fd, .bytes = arena->segment_bytes, .address = address};
        return arena_pin(arena, &pin, reason);
    }
    char name[SEGMENT_NAME_BYTES];
    arena_segment_name(id, name);
    return arena_segment_make(arena, id, name, address, &segment->fd, reason);
}

static void *work(void *argument)
{
    struct crew *crew = argument;
    for (;;) {
        uint32_t id = atomic_fetch_add(&crew->next, 1);
        if (id >= crew->arena->segment_count) {
            return NULL;
        }
        char reason[ARENA_REASON_BYTES] = "";
        enum ckpt_status status = prepare(crew->arena, id, reason);
        (void)pthread_mutex_lock(&crew->mutex);
        if (status != CKPT_OK && crew->status == CKPT_OK) {
            crew->status = status;
            memcpy(crew->reason, reason, sizeof reason);
            atomic_store(&crew->next, crew->arena->segment_count);
        } else if (status == CKPT_OK) {
            crew->done[crew->done_count++] = id;
        }
        (void)pthread_cond_signal(&crew->changed);
        (void)pthread_mutex_unlock(&crew->mutex);
    }
}

/* Runs in the caller's thread, so that the callback may log without a thought to threads. */
static void report(struct crew *crew, const struct arena_options *options)
{
    struct arena *arena = crew->arena;
    uint32_t told = 0;
    (void)pthread_mutex_lock(&crew->mutex);
    while (told < arena->segment_count && crew->status == CKPT_OK) {
        while (told == crew->done_count && crew->status == CKPT_OK) {
            (void)pthread_cond_wait(&crew->changed, &crew->mutex);
        }
        while (told < crew->done_count) {
            uint32_t id = crew->done[told++];
            (void)pthread_mutex_unlock(&crew->mutex);
            if (options->progress != NULL) {
                struct arena_progress progress = {
                    .segments_done = told,
                    .segment_count = arena->segment_count,
                    .segment = id,
                    .adopted = !atomic_load(&arena->segments[id].made_new),
                    .node = arena->segments[id].node,
                };
                options->progress(options->progress_context, &progress);
            }
            (void)pthread_mutex_lock(&crew->mutex);
        }
    }
    (void)pthread_mutex_unlock(&crew->mutex);
}

static uint32_t count_threads(const struct arena *arena, const struct arena_options *options)
{
    uint32_t threads = options->prefault_threads;
    if (threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        threads = cores > 0 ? (uint32_t)cores : 1;
    }
    threads = threads > THREADS_MAX ? THREADS_MAX : threads;
    return threads > arena->segment_count ? arena->segment_count : threads;
}

static enum ckpt_status prepare_all(struct arena *arena, const struct arena_options *options,
                                    char reason[ARENA_REASON_BYTES])
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL) {
        arena_explain(reason, "out of memory for the arena's tables");
        return CKPT_ERR_MEMORY;
    }
    crew->arena = arena;
    (void)pthread_mutex_init(&crew->mutex, NULL);
    (void)pthread_cond_init(&crew->changed, NULL);
    pthread_t threads[THREADS_MAX];
    uint32_t wanted = count_threads(arena, options);
    uint32_t started = 0;
    while (started < wanted && pthread_create(&threads[started], NULL, work, crew) == 0) {
        started++;
    }
    if (started == 0) {
        (void)work(crew); /* no thread to be had: slower, not wrong */
    }
    report(crew, options);
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    enum ckpt_status status = crew->status;
    if (status != CKPT_OK) {
        memcpy(reason, crew->reason, sizeof crew->reason);
    }
    (void)pthread_cond_destroy(&crew->changed);
    (void)pthread_mutex_destroy(&crew->mutex);
    free(crew);
    return status;
}

/* Opens what can be adopted. Segments of an arena that was never finished, or that are not whole,
 * are made anew: nobody knows what is in them. */
static enum ckpt_status adopt(struct arena *arena, uint64_t *missing_bytes_out,
                              char reason[ARENA_REASON_BYTES])
{
    uint64_t missing = 0;
    for (uint32_t id = 0; id < arena->segment_count; id++) {
        char name[SEGMENT_NAME_BYTES];
        arena_segment_name(id, name);
        int fd = -1;
        enum ckpt_status status = CKPT_ERR_NOT_FOUND;
        if (arena->index_fresh) {
            (void)unlinkat(arena->directory_fd, name, 0);
        } else {
            status = arena_file_open(arena, name, false, &fd, reason);
        }
        uint64_t bytes = arena->segment_bytes - arena_parts_bytes(arena, id);
        if (status == CKPT_OK && !arena_file_is_whole(arena, fd, bytes)) {
            (void)close(fd);
            (void)unlinkat(arena->directory_fd, name, 0);
            status = CKPT_ERR_NOT_FOUND;
        }
        if (status == CKPT_ERR_NOT_FOUND) {
            atomic_store(&arena->segments[id].made_new, true);
            missing += bytes;
        } else if (status != CKPT_OK) {
            return status;
        } else {
            arena->segments[id].fd = fd;
        }
    }
    *missing_bytes_out = missing;
    return CKPT_OK;
}

/* One range for all segments: neighbours lie side by side, and an address tells its segment. One
 * place more is where arena_segment_repair() makes a new file ready. */
static enum ckpt_status reserve(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    uint64_t align =
        arena->page_bytes > CKPT_SEGMENT_BYTES_MIN ? arena->page_bytes : CKPT_SEGMENT_BYTES_MIN;
    arena->reserved_bytes =
        (size_t)((arena->segment_count + UINT64_C(1)) * arena->segment_bytes + align);
    void *reservation = mmap(NULL, arena->reserved_bytes, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reservation == MAP_FAILED) {
        return arena_explain_errno(reason, "no addresses for an arena of %u segments",
                                   arena->segment_count);
    }
    arena->reservation = reservation;
    arena->base = (uint8_t *)(((uintptr_t)reservation + (align - 1)) & ~(uintptr_t)(align - 1));
    return CKPT_OK;
}

enum ckpt_status arena_segments_open(struct arena *arena, const struct arena_options *options,
                                     char reason[ARENA_REASON_BYTES])
{
    enum ckpt_status status = reserve(arena, reason);
    uint64_t missing_bytes = 0;
    uint64_t missing_of_parts = 0;
    if (status == CKPT_OK) {
        /* Before the descriptors are opened, because it raises their limit. */
        status = arena_preflight(arena, 0, reason);
    }
    if (status == CKPT_OK) {
        status = arena_parts_open(arena, &missing_of_parts, reason);
    }
    if (status == CKPT_OK) {
        status = adopt(arena, &missing_bytes, reason);
    }
    if (status == CKPT_OK) {
        status = arena_preflight(arena, missing_bytes + missing_of_parts, reason);
    }
    if (status == CKPT_OK) {
        status = arena_guard_add(arena, arena->base, arena->segment_count, NULL);
        if (status != CKPT_OK) {
            arena_explain(reason, "too many arenas in one process");
        }
    }
    if (status == CKPT_OK) {
        status = prepare_all(arena, options, reason);
    }
    return status;
}

void arena_segments_close(struct arena *arena)
{
    if (arena->reservation != NULL) {
        arena_guard_remove(arena->base);
        (void)munmap(arena->reservation, arena->reserved_bytes);
        arena->reservation = NULL;
    }
    for (uint32_t id = 0; id < arena->segment_count + arena->part_count; id++) {
        if (arena->segments[id].fd >= 0) {
            (void)close(arena->segments[id].fd);
            arena->segments[id].fd = -1;
        }
    }
}

enum ckpt_status arena_segment_fd(struct arena *arena, uint32_t segment, bool read_only,
                                  int *fd_out)
{
    if (arena_find(arena, segment) == NULL) {
        return CKPT_ERR_INVALID;
    }
    /* By name, not dup(): a trainer that shared the agent's own open file would be invisible to
     * arena_segment_shared(), and could move its file offset and flags. */
    char name[SEGMENT_NAME_BYTES];
    arena_segment_name(segment, name);
    int flags = (read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(arena->directory_fd, name, flags);
    if (fd < 0) {
        return CKPT_ERR_SYSTEM;
    }
    *fd_out = fd;
    return CKPT_OK;
}
