/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that lost their bytes, or that somebody else still has: seen, zeroed, replaced. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "arena/directory.h"
#include "arena/pin.h"

#define REPAIR_NAME "segment-new"

bool arena_segment_damaged(const struct arena *arena, uint32_t segment)
{
    const struct segment *found = arena_find(arena, segment);
    return found != NULL && atomic_load(&found->damaged);
}

static bool are_ids(const struct arena *arena, const uint16_t *segments, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (arena_find(arena, segments[i]) == NULL) {
            return false;
        }
    }
    return true;
}

enum ckpt_status arena_segments_check(struct arena *arena, const uint16_t *segments, uint32_t n)
{
    if (!are_ids(arena, segments, n)) {
        return CKPT_ERR_INVALID;
    }
    enum ckpt_status status = CKPT_OK;
    for (uint32_t i = 0; i < n; i++) {
        struct segment *segment = arena_find(arena, segments[i]);
        if (!arena_file_is_whole(arena, segment->fd, arena_bytes_of(arena, segment))) {
            atomic_store(&segment->damaged, true);
        }
        if (atomic_load(&segment->damaged)) {
            status = CKPT_ERR_CORRUPT;
        }
    }
    return status;
}

bool arena_segment_shared(struct arena *arena, uint32_t segment)
{
    const struct segment *found = arena_find(arena, segment);
    if (found == NULL) {
        return true;
    }
    /* Granted only while the lessee's own open file is the only one (fcntl(2), F_WRLCK); the
     * mappings of others hold their open files, so they count. */
    int fd = found->fd;
    if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0) {
        return true;
    }
    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

static void zero(uint8_t *address, uint64_t bytes)
{
#ifdef __SSE2__
    __m128i nothing = _mm_setzero_si128();
    for (uint64_t offset = 0; offset < bytes; offset += 64) {
        __m128i *line = (__m128i *)(void *)(address + offset);
        _mm_stream_si128(line, nothing);
        _mm_stream_si128(line + 1, nothing);
        _mm_stream_si128(line + 2, nothing);
        _mm_stream_si128(line + 3, nothing);
    }
    _mm_sfence();
#else
    memset(address, 0, bytes);
#endif
}

enum ckpt_status arena_segments_zero(struct arena *arena, const uint16_t *segments, uint32_t n)
{
    if (!are_ids(arena, segments, n)) {
        return CKPT_ERR_INVALID;
    }
    for (uint32_t i = 0; i < n; i++) {
        zero(arena_segment_address(arena, segments[i]), arena_memory_bytes(arena, segments[i]));
    }
    return arena_segments_check(arena, segments, n);
}

enum ckpt_status arena_segments_pass(struct arena *arena, const uint16_t *segments, uint32_t n,
                                     uint16_t *wanting_out, uint32_t *wanting_count_out)
{
    if (!are_ids(arena, segments, n)) {
        return CKPT_ERR_INVALID;
    }
    uint32_t wanting = 0;
    for (uint32_t i = 0; i < n; i++) {
        /* In this order: once nobody else has it open, it cannot be cut between check and use. */
        if (arena_segment_shared(arena, segments[i]) ||
            arena_segments_zero(arena, &segments[i], 1) != CKPT_OK) {
            wanting_out[wanting++] = segments[i];
        }
    }
    *wanting_count_out = wanting;
    return CKPT_OK;
}

/* The new file is made and faulted in at the spare place behind the last segment first, so that a
 * shortage leaves the old one as it is; then it takes the name, and then the address. */
enum ckpt_status arena_segment_repair(struct arena *arena, uint32_t segment)
{
    struct segment *found = arena_find(arena, segment);
    if (found == NULL) {
        return CKPT_ERR_INVALID;
    }
    size_t bytes = (size_t)arena_bytes_of(arena, found);
    uint8_t *spare = arena->base + arena->segment_count * arena->segment_bytes;
    char reason[ARENA_REASON_BYTES];
    int fd = -1;
    enum ckpt_status status = arena_segment_make(arena, segment, REPAIR_NAME, spare, &fd, reason);
    if (mmap(spare, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0) == MAP_FAILED &&
        status == CKPT_OK) {
        (void)unlinkat(arena->directory_fd, REPAIR_NAME, 0);
        (void)close(fd);
        status = CKPT_ERR_SYSTEM;
    }
    if (status != CKPT_OK) {
        return status;
    }
    char name[SEGMENT_NAME_BYTES];
    arena_segment_name(segment, name);
    if (renameat(arena->directory_fd, REPAIR_NAME, arena->directory_fd, name) != 0) {
        (void)unlinkat(arena->directory_fd, REPAIR_NAME, 0);
        (void)close(fd);
        return CKPT_ERR_SYSTEM;
    }
    (void)close(found->fd);
    found->fd = fd;
    struct pin pin = {
        .id = segment, .fd = fd, .bytes = bytes, .address = arena_segment_address(arena, segment)};
    status = arena_pin(arena, &pin, reason);
    atomic_store(&found->damaged, status != CKPT_OK);
    return status;
}
