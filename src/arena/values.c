/* SPDX-License-Identifier: Apache-2.0 */
/* The file "values": the chunk values of the slots that were proven by fingerprints.
 *
 *   header | 16 bytes a chunk of segment 0, of segment 1, ... | 64 bytes a slot
 *
 * The values of a slot lie where its bytes do, chunk by chunk, so that there is room for those of
 * any slot and none is given out. A slot's entry says whose they are, and has a checksum of them
 * all; a shard of one chunk, which may share its chunk of the segment with other parts, has its
 * value in the entry. All of it can be computed again: what does not check is not there. */
#include "arena/values.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/directory.h"
#include "base/crc32c.h"

#define HEADER_BYTES 4096
#define VALUES_VERSION 1
#define VALUES_NAME "values"

static const char header_magic[8] = {'C', 'K', 'P', 'T', 'V', 'A', 'L', 'S'};

/* Every number is little-endian. */
struct header_image {
    char magic[8];
    uint32_t version;
    uint32_t segment_count;
    uint64_t segment_bytes;
    uint32_t slot_count;
    uint32_t crc; /* CRC-32C of all bytes before it */
};

struct entry_image {
    uint64_t generation; /* 0: there are none; stored last */
    uint64_t digest_key;
    uint64_t bytes;
    uint8_t only[ARENA_VALUE_BYTES]; /* of a shard of one chunk; else zero */
    uint32_t values_crc;             /* CRC-32C of all values, in the shard's order */
    uint8_t zero[16];
    uint32_t crc; /* CRC-32C of all bytes before it */
};

_Static_assert(sizeof(struct header_image) == 32, "format");
_Static_assert(sizeof(struct entry_image) == 64, "format");
_Static_assert(offsetof(struct entry_image, only) == 24, "format");
_Static_assert(offsetof(struct entry_image, values_crc) == 40, "format");
_Static_assert(offsetof(struct entry_image, crc) == 60, "format");

static uint64_t bytes_of_segment(const struct arena *arena)
{
    return arena->segment_bytes / CKPT_CHUNK_BYTES * ARENA_VALUE_BYTES;
}

static uint64_t entries_offset(const struct arena *arena)
{
    return HEADER_BYTES + arena->segment_count * bytes_of_segment(arena);
}

static size_t count_bytes(const struct arena *arena)
{
    uint64_t bytes = entries_offset(arena) + arena->slot_count * sizeof(struct entry_image);
    return (size_t)((bytes + arena->page_bytes - 1) / arena->page_bytes * arena->page_bytes);
}

static struct entry_image *entry_of(const struct arena *arena, uint32_t slot)
{
    return (struct entry_image *)(void *)(arena->values + entries_offset(arena)) + slot;
}

/* --- Opening ---------------------------------------------------------------------------- */

static struct header_image header_of(const struct arena *arena)
{
    struct header_image image = {.version = htole32(VALUES_VERSION),
                                 .segment_count = htole32(arena->segment_count),
                                 .segment_bytes = htole64(arena->segment_bytes),
                                 .slot_count = htole32(arena->slot_count)};
    memcpy(image.magic, header_magic, sizeof image.magic);
    image.crc = htole32(crc32c(0, &image, offsetof(struct header_image, crc)));
    return image;
}

static bool has_its_header(const struct arena *arena)
{
    struct header_image image = header_of(arena);
    return memcmp(arena->values, &image, sizeof image) == 0;
}

/* False: its pages cannot all be had, and one that is missing would be a SIGBUS later. */
static bool map(struct arena *arena, int fd)
{
    size_t bytes = count_bytes(arena);
    if (fallocate(fd, 0, 0, (off_t)bytes) != 0) {
        return false;
    }
    void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        return false;
    }
    arena->values = address;
    arena->values_bytes = bytes;
    return true;
}

void arena_values_close(struct arena *arena)
{
    if (arena->values != NULL) {
        (void)munmap(arena->values, arena->values_bytes);
        arena->values = NULL;
    }
}

/* Of a new arena there are none to keep: its generations begin anew, and those of an earlier one
 * would be taken for its own. */
static bool adopt(struct arena *arena, int fd)
{
    struct stat info;
    bool may_be = !arena->is_made_here && fstat(fd, &info) == 0 &&
                  (uint64_t)info.st_size == count_bytes(arena);
    if (!may_be || !map(arena, fd)) {
        return false;
    }
    if (!has_its_header(arena)) {
        arena_values_close(arena);
        return false;
    }
    return true;
}

void arena_values_open(struct arena *arena)
{
    char reason[ARENA_REASON_BYTES];
    int fd = -1;
    if (arena_file_open(arena, VALUES_NAME, true, &fd, reason) != CKPT_OK) {
        return;
    }
    if (!adopt(arena, fd) && ftruncate(fd, 0) == 0 &&
        ftruncate(fd, (off_t)count_bytes(arena)) == 0 && map(arena, fd)) {
        struct header_image image = header_of(arena);
        memcpy(arena->values, &image, sizeof image);
    }
    if (arena->values == NULL) {
        (void)unlinkat(arena->directory_fd, VALUES_NAME, 0);
    }
    (void)close(fd);
}

bool arena_keeps_values(const struct arena *arena)
{
    return arena->values != NULL;
}

/* --- Values ----------------------------------------------------------------------------- */

static uint64_t chunks_of(const struct arena_values *of)
{
    return of->bytes / CKPT_CHUNK_BYTES + (of->bytes % CKPT_CHUNK_BYTES != 0);
}

static bool is_sound(const struct arena *arena, const struct arena_values *of)
{
    uint64_t room = of->part.bytes > 0 ? of->part.bytes : of->segment_count * arena->segment_bytes;
    if (of->slot >= arena->slot_count || of->generation == 0 || of->bytes == 0 ||
        of->bytes > room) {
        return false;
    }
    if (of->part.bytes > 0) {
        return of->part.segment < arena->segment_count &&
               of->part.offset + of->part.bytes <= arena->segment_bytes;
    }
    for (uint32_t i = 0; i < of->segment_count; i++) {
        if (of->segments[i] >= arena->segment_count) {
            return false;
        }
    }
    return true;
}

/* Where values from the first-th on lie side by side, and how many. */
static uint8_t *find(const struct arena *arena, const struct arena_values *of, uint64_t first,
                     uint64_t *count_out)
{
    uint64_t in_segment = arena->segment_bytes / CKPT_CHUNK_BYTES;
    uint64_t left = chunks_of(of) - first;
    if (chunks_of(of) == 1) {
        *count_out = 1;
        return entry_of(arena, of->slot)->only;
    }
    if (of->part.bytes > 0) {
        *count_out = left;
        return arena->values + HEADER_BYTES + of->part.segment * bytes_of_segment(arena) +
               (of->part.offset / CKPT_CHUNK_BYTES + first) * ARENA_VALUE_BYTES;
    }
    uint64_t here = in_segment - first % in_segment;
    *count_out = here < left ? here : left;
    return arena->values + HEADER_BYTES +
           of->segments[first / in_segment] * bytes_of_segment(arena) +
           first % in_segment * ARENA_VALUE_BYTES;
}

static void seal(struct entry_image *entry, uint32_t values_crc, const struct arena_values *of)
{
    struct entry_image image = {.generation = htole64(of->generation),
                                .digest_key = htole64(of->digest_key),
                                .bytes = htole64(of->bytes),
                                .values_crc = htole32(values_crc)};
    memcpy(image.only, entry->only, sizeof image.only);
    image.crc = htole32(crc32c(0, &image, offsetof(struct entry_image, crc)));
    size_t behind = offsetof(struct entry_image, digest_key);
    memcpy((uint8_t *)entry + behind, (const uint8_t *)&image + behind, sizeof image - behind);
    atomic_thread_fence(memory_order_seq_cst);
    entry->generation = image.generation;
}

enum ckpt_status arena_values_store(struct arena *arena, const struct arena_values *of,
                                    const uint8_t *values)
{
    if (arena->values == NULL) {
        return CKPT_ERR_MEMORY;
    }
    if (!is_sound(arena, of)) {
        return CKPT_ERR_INVALID;
    }
    uint64_t chunks = chunks_of(of);
    struct entry_image *entry = entry_of(arena, of->slot);
    (void)pthread_mutex_lock(&arena->values_mutex);
    entry->generation = 0;
    atomic_thread_fence(memory_order_seq_cst);
    memset(entry->only, 0, sizeof entry->only);
    for (uint64_t first = 0, count = 0; first < chunks; first += count) {
        uint8_t *at = find(arena, of, first, &count);
        memcpy(at, values + first * ARENA_VALUE_BYTES, count * ARENA_VALUE_BYTES);
    }
    seal(entry, crc32c(0, values, chunks * ARENA_VALUE_BYTES), of);
    (void)pthread_mutex_unlock(&arena->values_mutex);
    return CKPT_OK;
}

/* Whose the slot's values are. */
static enum ckpt_status check_entry(const struct entry_image *entry, const struct arena_values *of)
{
    if (entry->generation == 0) {
        return CKPT_ERR_NOT_FOUND;
    }
    if (le32toh(entry->crc) != crc32c(0, entry, offsetof(struct entry_image, crc))) {
        return CKPT_ERR_CORRUPT;
    }
    bool is_it = le64toh(entry->generation) == of->generation &&
                 le64toh(entry->digest_key) == of->digest_key && le64toh(entry->bytes) == of->bytes;
    return is_it ? CKPT_OK : CKPT_ERR_NOT_FOUND;
}

enum ckpt_status arena_values_load(struct arena *arena, const struct arena_values *of,
                                   uint8_t *values_out)
{
    if (arena->values == NULL) {
        return CKPT_ERR_NOT_FOUND;
    }
    if (!is_sound(arena, of)) {
        return CKPT_ERR_INVALID;
    }
    uint64_t chunks = chunks_of(of);
    const struct entry_image *entry = entry_of(arena, of->slot);
    (void)pthread_mutex_lock(&arena->values_mutex);
    enum ckpt_status status = check_entry(entry, of);
    for (uint64_t first = 0, count = 0; status == CKPT_OK && first < chunks; first += count) {
        const uint8_t *at = find(arena, of, first, &count);
        memcpy(values_out + first * ARENA_VALUE_BYTES, at, count * ARENA_VALUE_BYTES);
    }
    if (status == CKPT_OK &&
        le32toh(entry->values_crc) != crc32c(0, values_out, chunks * ARENA_VALUE_BYTES)) {
        status = CKPT_ERR_CORRUPT;
    }
    (void)pthread_mutex_unlock(&arena->values_mutex);
    return status;
}
