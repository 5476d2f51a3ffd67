/* SPDX-License-Identifier: Apache-2.0 */
/* The file "index": two copies of the arena header, a commit cell a slot, two record copies a slot.
 *
 * A store writes the copy that is not current, then publishes it by one 8-byte store into the
 * slot's cell: sequence in the low half, the record's CRC in the high half. The cell is what tells
 * a copy that was torn by a crash (the cell names the other) from a newest copy that was damaged
 * (the cell names it, and it does not check).
 *
 * The file is memory: what a killed process has stored is there, in program order. */
#include "arena/index.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/directory.h"
#include "arena/explain.h"
#include "base/crc32c.h"

#define HEADER_BYTES 4096
#define HEADER_VERSION 2 /* of 1: without parts */
#define CELLS_OFFSET (2 * HEADER_BYTES)
#define RECORD_CRC_OFFSET (ARENA_RECORD_BYTES - 4)
#define INDEX_NAME "index"
#define INDEX_NEW_NAME "index-new"

static const char header_magic[8] = {'C', 'K', 'P', 'T', 'A', 'R', 'E', 'N'};

struct header_image {
    char magic[8];
    uint32_t version;
    uint32_t record_bytes;
    uint64_t sequence;
    uint64_t segment_bytes;
    uint32_t segment_count;
    uint32_t slot_count;
    uint64_t generation_floor;
    uint64_t epoch;
    uint8_t cluster[NONCE_BYTES]; /* zero: of none yet */
    uint8_t zero[4020];
    uint32_t crc; /* CRC-32C of all bytes before it */
};

_Static_assert(sizeof(struct header_image) == HEADER_BYTES, "a header copy is one page");
_Static_assert(offsetof(struct header_image, version) == 8, "format");
_Static_assert(offsetof(struct header_image, sequence) == 16, "format");
_Static_assert(offsetof(struct header_image, segment_bytes) == 24, "format");
_Static_assert(offsetof(struct header_image, segment_count) == 32, "format");
_Static_assert(offsetof(struct header_image, slot_count) == 36, "format");
_Static_assert(offsetof(struct header_image, generation_floor) == 40, "format");
_Static_assert(offsetof(struct header_image, epoch) == 48, "format");
_Static_assert(offsetof(struct header_image, cluster) == 56, "format");
_Static_assert(offsetof(struct header_image, crc) == 4092, "format");

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static uint64_t records_offset(const struct arena *arena)
{
    return round_up(CELLS_OFFSET + arena->slot_count * sizeof(uint64_t), ARENA_RECORD_BYTES);
}

static uint8_t *record_copy(const struct arena *arena, uint32_t slot, uint64_t sequence)
{
    return arena->index + records_offset(arena) +
           ((uint64_t)slot * 2 + (sequence & 1)) * ARENA_RECORD_BYTES;
}

static _Atomic(uint64_t) *cell_of(const struct arena *arena, uint32_t slot)
{
    return (_Atomic(uint64_t) *)(void *)(arena->index + CELLS_OFFSET + slot * sizeof(uint64_t));
}

static uint64_t make_cell(uint64_t sequence, uint32_t crc)
{
    return htole64((sequence & UINT32_MAX) | (uint64_t)crc << 32);
}

static uint32_t crc_of_copy(const uint8_t *copy)
{
    uint32_t crc;
    memcpy(&crc, copy + RECORD_CRC_OFFSET, sizeof crc);
    return le32toh(crc);
}

/* --- The header ------------------------------------------------------------------------- */

static void write_header(struct arena *arena)
{
    struct header_image image;
    memset(&image, 0, sizeof image);
    memcpy(image.magic, header_magic, sizeof image.magic);
    image.version = htole32(HEADER_VERSION);
    image.record_bytes = htole32(ARENA_RECORD_BYTES);
    image.sequence = htole64(++arena->header_sequence);
    image.segment_bytes = htole64(arena->segment_bytes);
    image.segment_count = htole32(arena->segment_count);
    image.slot_count = htole32(arena->slot_count);
    image.generation_floor = htole64(atomic_load(&arena->generation_floor));
    image.epoch = htole64(atomic_load(&arena->epoch));
    memcpy(image.cluster, arena->cluster.bytes, sizeof image.cluster);
    image.crc = htole32(crc32c(0, &image, offsetof(struct header_image, crc)));
    /* One after the other: at every instruction one of the two is whole, and when nobody is
     * writing, both say the same. */
    for (int copy = 0; copy < 2; copy++) {
        memcpy(arena->index + copy * HEADER_BYTES, &image, sizeof image);
        atomic_thread_fence(memory_order_seq_cst);
    }
}

static bool is_whole_header(const struct header_image *image)
{
    return memcmp(image->magic, header_magic, sizeof image->magic) == 0 &&
           le32toh(image->crc) == crc32c(0, image, offsetof(struct header_image, crc));
}

/* CKPT_ERR_NOT_FOUND: the second copy was never written, so the arena was never finished. */
static enum ckpt_status read_header(struct arena *arena, struct header_image *image_out,
                                    char reason[ARENA_REASON_BYTES])
{
    struct header_image images[2];
    memset(images, 0, sizeof images);
    ssize_t n = pread(arena->index_fd, images, sizeof images, 0);
    if (n < 0) {
        return arena_explain_errno(reason, "read(%s/" INDEX_NAME ")", arena->directory);
    }
    static const struct header_image blank;
    bool whole[2] = {is_whole_header(&images[0]), is_whole_header(&images[1])};
    if (!whole[0] && !whole[1]) {
        if (memcmp(&images[1], &blank, sizeof blank) == 0) {
            return CKPT_ERR_NOT_FOUND;
        }
        arena_explain(reason,
                      "both copies of the header of the arena %s are damaged; remove it (its "
                      "shards are lost here): rm -r %s",
                      arena->directory, arena->directory);
        return CKPT_ERR_CORRUPT;
    }
    bool second =
        !whole[0] || (whole[1] && le64toh(images[1].sequence) > le64toh(images[0].sequence));
    *image_out = images[second];
    return CKPT_OK;
}

static enum ckpt_status check_geometry(const struct arena *arena, const struct header_image *image,
                                       char reason[ARENA_REASON_BYTES])
{
    if (le32toh(image->version) < 1 || le32toh(image->version) > HEADER_VERSION ||
        le32toh(image->record_bytes) != ARENA_RECORD_BYTES) {
        arena_explain(reason,
                      "the arena %s has format %u, this agent reads %u; start the agent that made "
                      "it, or remove it: rm -r %s",
                      arena->directory, le32toh(image->version), HEADER_VERSION, arena->directory);
        return CKPT_ERR_VERSION;
    }
    uint64_t segment_bytes = le64toh(image->segment_bytes);
    uint32_t segments = le32toh(image->segment_count);
    uint32_t slots = le32toh(image->slot_count);
    if (segment_bytes == arena->segment_bytes && segments == arena->segment_count && slots > 0 &&
        slots <= CKPT_ARENA_SEGMENTS_MAX) {
        return CKPT_OK;
    }
    arena_explain(reason,
                  "the arena %s has %u segments of %llu bytes, but %u of %llu are asked for; start "
                  "with the old values to keep its shards, or remove it (its shards are lost "
                  "here): rm -r %s",
                  arena->directory, segments, (unsigned long long)segment_bytes,
                  arena->segment_count, (unsigned long long)arena->segment_bytes, arena->directory);
    return CKPT_ERR_CONFIG;
}

/* --- Opening ---------------------------------------------------------------------------- */

static enum ckpt_status map_index(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    void *address =
        mmap(NULL, arena->index_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena->index_fd, 0);
    if (address == MAP_FAILED) {
        return arena_explain_errno(reason, "mmap(%s/" INDEX_NAME ")", arena->directory);
    }
    arena->index = address;
    /* A page that was given back would be a SIGBUS later; the whole index is small. */
    if (fallocate(arena->index_fd, 0, 0, (off_t)arena->index_bytes) != 0) {
        return arena_explain_errno(reason, "fallocate(%s/" INDEX_NAME ")", arena->directory);
    }
    return CKPT_OK;
}

static size_t count_bytes(const struct arena *arena)
{
    return (size_t)round_up(records_offset(arena) +
                                (uint64_t)arena->slot_count * 2 * ARENA_RECORD_BYTES,
                            arena->page_bytes);
}

static enum ckpt_status make_index(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    arena->index_fresh = arena->is_made_here = true;
    if (ftruncate(arena->index_fd, 0) != 0 ||
        ftruncate(arena->index_fd, (off_t)arena->index_bytes) != 0) {
        return arena_explain_errno(reason, "truncate(%s/" INDEX_NAME ")", arena->directory);
    }
    return map_index(arena, reason);
}

/* The floor is the header's or the highest of any whole copy, whichever is higher: both would have
 * to be lost for a generation to come back. */
static void raise_floor_to_records(struct arena *arena)
{
    uint64_t floor = atomic_load(&arena->generation_floor);
    for (uint32_t slot = 0; slot < arena->slot_count; slot++) {
        for (uint64_t copy = 0; copy < 2; copy++) {
            struct slot_record record;
            if (arena_record_decode(record_copy(arena, slot, copy), ARENA_RECORD_BYTES, &record,
                                    NULL) == CKPT_OK &&
                record.generation > floor) {
                floor = record.generation;
            }
        }
    }
    atomic_store(&arena->generation_floor, floor);
}

static void take_header(struct arena *arena, const struct header_image *image)
{
    arena->header_sequence = le64toh(image->sequence);
    atomic_store(&arena->generation_floor, le64toh(image->generation_floor));
    atomic_store(&arena->epoch, le64toh(image->epoch));
    memcpy(arena->cluster.bytes, image->cluster, sizeof image->cluster);
}

/* Opens what the header says is there, with as many slots. */
static enum ckpt_status open_index(struct arena *arena, const struct header_image *image,
                                   char reason[ARENA_REASON_BYTES])
{
    struct stat info;
    enum ckpt_status status = check_geometry(arena, image, reason);
    if (status != CKPT_OK) {
        return status;
    }
    arena->slot_count = le32toh(image->slot_count);
    arena->index_bytes = count_bytes(arena);
    if (fstat(arena->index_fd, &info) != 0 || (uint64_t)info.st_size != arena->index_bytes) {
        arena_explain(reason, "%s/" INDEX_NAME " has not its size; remove the arena: rm -r %s",
                      arena->directory, arena->directory);
        return CKPT_ERR_CORRUPT;
    }
    status = map_index(arena, reason);
    if (status == CKPT_OK) {
        take_header(arena, image);
    }
    return status;
}

/* More slots than it has: the same records in a larger file, which takes the old one's name when it
 * is whole. Killed in between, the old one is there. */
static enum ckpt_status grow_index(struct arena *arena, uint32_t slot_count,
                                   char reason[ARENA_REASON_BYTES])
{
    struct arena old = {.index_fd = arena->index_fd,
                        .index = arena->index,
                        .index_bytes = arena->index_bytes,
                        .slot_count = arena->slot_count};
    (void)unlinkat(arena->directory_fd, INDEX_NEW_NAME, 0);
    arena->index = NULL;
    arena->index_fd = -1;
    arena->slot_count = slot_count;
    arena->index_bytes = count_bytes(arena);
    enum ckpt_status status =
        arena_file_open(arena, INDEX_NEW_NAME, true, &arena->index_fd, reason);
    if (status == CKPT_OK && ftruncate(arena->index_fd, (off_t)arena->index_bytes) != 0) {
        status = arena_explain_errno(reason, "truncate(%s/" INDEX_NEW_NAME ")", arena->directory);
    }
    if (status == CKPT_OK) {
        status = map_index(arena, reason);
    }
    if (status == CKPT_OK) {
        memcpy(arena->index + CELLS_OFFSET, old.index + CELLS_OFFSET,
               old.slot_count * sizeof(uint64_t));
        memcpy(arena->index + records_offset(arena), old.index + records_offset(&old),
               (size_t)old.slot_count * 2 * ARENA_RECORD_BYTES);
        write_header(arena);
        if (renameat(arena->directory_fd, INDEX_NEW_NAME, arena->directory_fd, INDEX_NAME) != 0) {
            status = arena_explain_errno(reason, "rename(%s/" INDEX_NEW_NAME ")", arena->directory);
        }
    }
    (void)munmap(old.index, old.index_bytes);
    (void)close(old.index_fd);
    return status;
}

enum ckpt_status arena_index_open(struct arena *arena, char reason[ARENA_REASON_BYTES])
{
    uint32_t wanted = arena->slot_count;
    enum ckpt_status status = arena_file_open(arena, INDEX_NAME, true, &arena->index_fd, reason);
    if (status != CKPT_OK) {
        return status;
    }
    struct header_image image = {0};
    status = read_header(arena, &image, reason);
    if (status == CKPT_ERR_NOT_FOUND) {
        arena->index_bytes = count_bytes(arena);
        return make_index(arena, reason);
    }
    if (status == CKPT_OK) {
        status = open_index(arena, &image, reason);
    }
    if (status == CKPT_OK && arena->slot_count < wanted) {
        status = grow_index(arena, wanted, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    raise_floor_to_records(arena);
    write_header(arena);
    return CKPT_OK;
}

void arena_index_publish(struct arena *arena)
{
    if (!arena->index_fresh) {
        return;
    }
    write_header(arena);
    arena->index_fresh = false;
}

void arena_index_close(struct arena *arena)
{
    if (arena->index != NULL) {
        (void)munmap(arena->index, arena->index_bytes);
        arena->index = NULL;
    }
    if (arena->index_fd >= 0) {
        (void)close(arena->index_fd);
        arena->index_fd = -1;
    }
}

/* --- Records ---------------------------------------------------------------------------- */

/* Both copies of a slot and its cell, read once. */
struct slot_copies {
    enum ckpt_status status[2];
    struct slot_record record[2];
    uint64_t sequence[2];
    uint32_t crc[2];
    uint64_t cell;
};

static void read_copies(const struct arena *arena, uint32_t slot, struct slot_copies *copies_out)
{
    copies_out->cell = atomic_load(cell_of(arena, slot));
    for (uint64_t i = 0; i < 2; i++) {
        const uint8_t *bytes = record_copy(arena, slot, i);
        copies_out->sequence[i] = 0;
        copies_out->crc[i] = crc_of_copy(bytes);
        copies_out->status[i] = arena_record_decode(
            bytes, ARENA_RECORD_BYTES, &copies_out->record[i], &copies_out->sequence[i]);
        /* A whole record of another slot, or in the other copy's place, is damage too. */
        if (copies_out->status[i] == CKPT_OK &&
            (copies_out->record[i].slot != slot || (copies_out->sequence[i] & 1) != i)) {
            copies_out->status[i] = CKPT_ERR_CORRUPT;
        }
    }
}

/* Which copy is the slot's record: CKPT_OK and 0 or 1, or why there is none. */
static enum ckpt_status choose_copy(const struct slot_copies *copies, uint32_t slot, int *copy_out,
                                    char *reason)
{
    char unused[ARENA_REASON_BYTES];
    reason = reason == NULL ? unused : reason;
    const enum ckpt_status *status = copies->status;
    for (int i = 0; i < 2; i++) {
        if (status[i] == CKPT_OK &&
            copies->cell == make_cell(copies->sequence[i], copies->crc[i])) {
            *copy_out = i;
            return CKPT_OK;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (status[i] == CKPT_ERR_VERSION) {
            arena_explain(reason, "the record of slot %u was written by another version", slot);
            return CKPT_ERR_VERSION;
        }
    }
    if (copies->cell == 0 && status[0] == CKPT_ERR_NOT_FOUND) {
        /* The first store goes to copy 1 and is published last: it did not get that far. */
        return CKPT_ERR_NOT_FOUND;
    }
    if (status[0] == CKPT_OK && status[1] == CKPT_OK) {
        /* Both are whole, so it is the cell that is damaged, and the higher is the newest. */
        *copy_out = copies->sequence[1] > copies->sequence[0];
        return CKPT_OK;
    }
    if (status[0] == CKPT_ERR_NOT_FOUND && status[1] == CKPT_OK && copies->sequence[1] == 1) {
        *copy_out = 1; /* the only store there was; again it is the cell that is damaged */
        return CKPT_OK;
    }
    if (status[0] != CKPT_OK && status[1] != CKPT_OK &&
        !(status[0] == CKPT_ERR_NOT_FOUND && status[1] == CKPT_ERR_NOT_FOUND)) {
        arena_explain(reason, "both copies of the record of slot %u are damaged", slot);
    } else if (status[0] == CKPT_OK || status[1] == CKPT_OK) {
        arena_explain(reason,
                      "copy %c of the record of slot %u is damaged, and it was the newest; the "
                      "older one, sequence %llu, is not believed",
                      status[0] == CKPT_OK ? 'B' : 'A', slot,
                      (unsigned long long)copies->sequence[status[0] == CKPT_OK ? 0 : 1]);
    } else {
        arena_explain(reason, "the record of slot %u was wiped", slot);
    }
    return CKPT_ERR_CORRUPT;
}

enum ckpt_status arena_record_load(struct arena *arena, uint32_t slot,
                                   struct slot_record *record_out, char reason[ARENA_REASON_BYTES])
{
    if (slot >= arena->slot_count) {
        return CKPT_ERR_INVALID;
    }
    struct slot_copies copies;
    read_copies(arena, slot, &copies);
    int copy = 0;
    enum ckpt_status status = choose_copy(&copies, slot, &copy, reason);
    if (status == CKPT_OK) {
        *record_out = copies.record[copy];
    }
    return status;
}

static void raise_floor(struct arena *arena, uint64_t generation)
{
    (void)pthread_mutex_lock(&arena->header_mutex);
    if (generation > atomic_load(&arena->generation_floor)) {
        atomic_store(&arena->generation_floor, generation);
        write_header(arena);
    }
    (void)pthread_mutex_unlock(&arena->header_mutex);
}

static bool fits_arena(const struct arena *arena, uint32_t slot, const struct slot_record *record)
{
    if (slot >= arena->slot_count || record->slot != slot ||
        record->segment_count > CKPT_SEGMENTS_PER_SHARD_MAX) {
        return false;
    }
    if (record->part.bytes > 0) {
        struct room_kind kind = {.segment_bytes = arena->segment_bytes,
                                 .page_bytes = arena->page_bytes};
        return record->segments[0] - CKPT_PART_ID_FIRST < (int)arena->part_count &&
               room_part_is_sound(&kind, arena->segment_count, &record->part) &&
               record->bytes <= record->part.bytes;
    }
    for (uint32_t i = 0; i < record->segment_count; i++) {
        if (record->segments[i] >= arena->segment_count) {
            return false;
        }
    }
    return record->state == SLOT_FREE ||
           record->bytes <= record->segment_count * arena->segment_bytes;
}

enum ckpt_status arena_record_store(struct arena *arena, uint32_t slot,
                                    const struct slot_record *record)
{
    if (!fits_arena(arena, slot, record)) {
        return CKPT_ERR_INVALID;
    }
    struct slot_copies copies;
    read_copies(arena, slot, &copies);
    int current = 0;
    enum ckpt_status now = choose_copy(&copies, slot, &current, NULL);
    /* A damaged slot may have been at any generation up to the floor. */
    if (now == CKPT_OK ? record->generation < copies.record[current].generation
                       : now != CKPT_ERR_NOT_FOUND &&
                             record->generation <= atomic_load(&arena->generation_floor)) {
        return CKPT_ERR_STALE;
    }
    uint64_t sequence = 0;
    if (now == CKPT_OK) {
        sequence = copies.sequence[current];
    } else {
        for (int i = 0; i < 2; i++) {
            if (copies.status[i] == CKPT_OK && copies.sequence[i] > sequence) {
                sequence = copies.sequence[i];
            }
        }
    }
    sequence++;
    uint8_t bytes[ARENA_RECORD_BYTES];
    enum ckpt_status status = arena_record_encode(record, sequence, bytes);
    if (status != CKPT_OK) {
        return status;
    }
    raise_floor(arena, record->generation);
    for (uint32_t i = 0; i < record->segment_count; i++) {
        struct segment *segment = arena_find(arena, record->segments[i]);
        if (segment != NULL) { /* a part may be on record before it is made */
            atomic_store(&segment->made_new, false);
        }
    }
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(record_copy(arena, slot, sequence), bytes, sizeof bytes);
    atomic_thread_fence(memory_order_seq_cst);
    atomic_store(cell_of(arena, slot), make_cell(sequence, crc_of_copy(bytes)));
    return CKPT_OK;
}

uint64_t arena_generation_floor(const struct arena *arena)
{
    return atomic_load(&arena->generation_floor);
}

void arena_epoch_raise(struct arena *arena, uint64_t epoch)
{
    (void)pthread_mutex_lock(&arena->header_mutex);
    if (epoch > atomic_load(&arena->epoch)) {
        atomic_store(&arena->epoch, epoch);
        write_header(arena);
    }
    (void)pthread_mutex_unlock(&arena->header_mutex);
}

uint64_t arena_epoch(const struct arena *arena)
{
    return atomic_load(&arena->epoch);
}

void arena_cluster_set(struct arena *arena, const struct nonce *cluster)
{
    (void)pthread_mutex_lock(&arena->header_mutex);
    if (!nonce_equal(&arena->cluster, cluster)) {
        arena->cluster = *cluster;
        write_header(arena);
    }
    (void)pthread_mutex_unlock(&arena->header_mutex);
}

struct nonce arena_cluster(struct arena *arena)
{
    (void)pthread_mutex_lock(&arena->header_mutex);
    struct nonce cluster = arena->cluster;
    (void)pthread_mutex_unlock(&arena->header_mutex);
    return cluster;
}
