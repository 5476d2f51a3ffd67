/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of segments, as files of their own.
 *
 * Happy path: a part's bytes are taken out of its segment's file, which gets a hole there, and put
 * into a new file that is mapped at the same address; what they lay between keeps its pages. So the
 * arena's memory is the same before and after. Dropping a part fills the hole again.
 * Failure: a part that cannot be made is undone; where its hole cannot be filled either, because
 * somebody else took that memory in between, the segment is marked damaged. Killed in between, the
 * next arena_open() fills what no record claims, and removes the file.
 * On close: the files stay, with those of the segments.
 *
 * A part's file has a segment's size and pages for the part alone: libckpt of before parts maps it
 * as the segment that it takes it for. */
#include "arena/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena/directory.h"
#include "arena/explain.h"
#include "arena/inventory.h"
#include "arena/pin.h"

static uint8_t *address_of(const struct arena *arena, const struct room_part *at)
{
    return arena->base + at->segment * arena->segment_bytes + at->offset;
}

static void settle(struct arena *arena, struct segment *part)
{
    uintptr_t begin = (uintptr_t)address_of(arena, &part->at);
    atomic_store(&part->end, begin + part->at.bytes);
    atomic_store(&part->begin, begin);
}

/* Of the segment's parts the first that begins at `from` or later; NULL: none does. */
static struct segment *next_part(struct arena *arena, uint32_t segment, uint64_t from)
{
    struct segment *next = NULL;
    for (uint32_t i = 0; i < arena->part_count; i++) {
        struct segment *part = &arena->segments[arena->segment_count + i];
        if (part->at.bytes > 0 && part->at.segment == segment && part->at.offset >= from &&
            (next == NULL || part->at.offset < next->at.offset)) {
            next = part;
        }
    }
    return next;
}

static uint32_t id_of(const struct arena *arena, const struct segment *part)
{
    return CKPT_PART_ID_FIRST + (uint32_t)(part - arena->segments) - arena->segment_count;
}

uint64_t arena_parts_bytes(const struct arena *arena, uint32_t segment)
{
    uint64_t bytes = 0;
    if (!atomic_load(&arena->segments[segment].cut)) {
        return 0;
    }
    for (uint32_t i = 0; i < arena->part_count; i++) {
        const struct room_part *at = &arena->segments[arena->segment_count + i].at;
        bytes += at->segment == segment ? at->bytes : 0;
    }
    return bytes;
}

static bool is_sound(const struct arena *arena, uint32_t id, const struct room_part *at)
{
    struct room_kind kind = {.segment_bytes = arena->segment_bytes,
                             .page_bytes = arena->page_bytes};
    return id >= CKPT_PART_ID_FIRST && id - CKPT_PART_ID_FIRST < arena->part_count &&
           room_part_is_sound(&kind, arena->segment_count, at);
}

/* --- At arena_open() -------------------------------------------------------------------- */

static enum ckpt_status open_part(struct arena *arena, uint32_t id, const struct room_part *at,
                                  uint64_t *missing_bytes, char reason[ARENA_REASON_BYTES])
{
    struct segment *part = &arena->segments[arena->segment_count + id - CKPT_PART_ID_FIRST];
    char name[SEGMENT_NAME_BYTES];
    arena_segment_name(id, name);
    enum ckpt_status status = arena_file_open(arena, name, false, &part->fd, reason);
    if (status == CKPT_OK && !arena_file_is_whole(arena, part->fd, at->bytes)) {
        (void)close(part->fd);
        part->fd = -1;
        status = CKPT_ERR_NOT_FOUND;
    }
    if (status != CKPT_OK && status != CKPT_ERR_NOT_FOUND) {
        return status;
    }
    part->at = *at;
    part->node = arena->segments[at->segment].node;
    atomic_store(&part->made_new, status == CKPT_ERR_NOT_FOUND);
    atomic_store(&arena->segments[at->segment].cut, true);
    *missing_bytes += status == CKPT_ERR_NOT_FOUND ? at->bytes : 0;
    return CKPT_OK;
}

enum ckpt_status arena_parts_open(struct arena *arena, uint64_t *missing_bytes_out,
                                  char reason[ARENA_REASON_BYTES])
{
    *missing_bytes_out = 0;
    struct claims *claims = malloc(sizeof *claims);
    if (claims == NULL) {
        arena_explain(reason, "out of memory for the arena's tables");
        return CKPT_ERR_MEMORY;
    }
    enum ckpt_status status = CKPT_OK;
    if (!arena->index_fresh) {
        arena_claims_collect(arena, claims);
    }
    for (uint32_t slot = 0; slot < arena->slot_count && !arena->index_fresh && status == CKPT_OK;
         slot++) {
        struct slot_record record;
        if (arena_record_load(arena, slot, &record, NULL) == CKPT_OK && record.part.bytes > 0 &&
            is_sound(arena, record.segments[0], &record.part) &&
            arena_claims_are_alone(claims, &record)) {
            status = open_part(arena, record.segments[0], &record.part, missing_bytes_out, reason);
        }
    }
    free(claims);
    return status == CKPT_OK ? arena_directory_tidy(arena, reason) : status;
}

/* Nothing new where its hole is there; an earlier life may have ended before it made it. */
static bool punch(struct arena *arena, const struct room_part *at)
{
    return fallocate(arena->segments[at->segment].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)at->offset, (off_t)at->bytes) == 0;
}

static enum ckpt_status pin_part(struct arena *arena, struct segment *part,
                                 char reason[ARENA_REASON_BYTES])
{
    enum ckpt_status status;
    uint32_t id = id_of(arena, part);
    if (!punch(arena, &part->at)) {
        return arena_explain_errno(reason, "punch(segment %u of the arena %s)", part->at.segment,
                                   arena->directory);
    }
    if (part->fd >= 0) {
        struct pin pin = {.id = id,
                          .fd = part->fd,
                          .bytes = part->at.bytes,
                          .address = address_of(arena, &part->at)};
        status = arena_pin(arena, &pin, reason);
    } else {
        char name[SEGMENT_NAME_BYTES];
        arena_segment_name(id, name);
        status =
            arena_segment_make(arena, id, name, address_of(arena, &part->at), &part->fd, reason);
    }
    if (status == CKPT_OK) {
        settle(arena, part);
    }
    return status;
}

static enum ckpt_status pin_rest(struct arena *arena, uint32_t segment, uint64_t from, uint64_t end,
                                 char reason[ARENA_REASON_BYTES])
{
    struct pin pin = {.id = segment,
                      .fd = arena->segments[segment].fd,
                      .offset = from,
                      .bytes = end - from,
                      .address = arena->base + segment * arena->segment_bytes + from};
    return end > from ? arena_pin(arena, &pin, reason) : CKPT_OK;
}

enum ckpt_status arena_parts_pin(struct arena *arena, uint32_t segment,
                                 char reason[ARENA_REASON_BYTES])
{
    enum ckpt_status status = CKPT_OK;
    char name[SEGMENT_NAME_BYTES];
    arena_segment_name(segment, name);
    if (arena->segments[segment].fd < 0) {
        status = arena_file_make(arena, name, &arena->segments[segment].fd, reason);
    }
    uint64_t from = 0;
    for (struct segment *part = next_part(arena, segment, 0); part != NULL && status == CKPT_OK;
         part = next_part(arena, segment, from)) {
        status = pin_rest(arena, segment, from, part->at.offset, reason);
        if (status == CKPT_OK) {
            status = pin_part(arena, part, reason);
        }
        from = part->at.offset + part->at.bytes;
    }
    return status == CKPT_OK ? pin_rest(arena, segment, from, arena->segment_bytes, reason)
                             : status;
}

/* --- While it is open ------------------------------------------------------------------- */

uint32_t arena_part_count(const struct arena *arena)
{
    return arena->part_count;
}

bool arena_segment_is_cut(const struct arena *arena, uint32_t segment)
{
    return segment < arena->segment_count && atomic_load(&arena->segments[segment].cut);
}

bool arena_part_is_there(const struct arena *arena, uint32_t id, const struct room_part *at)
{
    const struct segment *part = id >= CKPT_PART_ID_FIRST ? arena_find(arena, id) : NULL;
    return part != NULL &&
           (at == NULL || (part->at.segment == at->segment && part->at.offset == at->offset &&
                           part->at.bytes == at->bytes));
}

bool arena_part_within(const struct arena *arena, const struct room_part *range, uint16_t *id_out)
{
    for (uint32_t i = 0; i < arena->part_count; i++) {
        const struct segment *part = &arena->segments[arena->segment_count + i];
        if (part->at.bytes > 0 && room_parts_overlap(&part->at, range)) {
            *id_out = (uint16_t)id_of(arena, part);
            return true;
        }
    }
    return false;
}

/* Gives a range back to the segment's file. What cannot be filled is the next user's to repair. */
static enum ckpt_status fill(struct arena *arena, const struct room_part *at)
{
    char reason[ARENA_REASON_BYTES];
    enum ckpt_status status =
        pin_rest(arena, at->segment, at->offset, at->offset + at->bytes, reason);
    if (status != CKPT_OK) {
        atomic_store(&arena->segments[at->segment].damaged, true);
    }
    return status;
}

enum ckpt_status arena_part_make(struct arena *arena, uint32_t id, const struct room_part *at)
{
    uint16_t other;
    char reason[ARENA_REASON_BYTES];
    char name[SEGMENT_NAME_BYTES];
    if (!is_sound(arena, id, at) || arena_find(arena, id) != NULL ||
        arena_part_within(arena, at, &other)) {
        return CKPT_ERR_INVALID;
    }
    struct segment *home = &arena->segments[at->segment];
    /* Who still has the whole file open could fill its holes, beside what the part takes. */
    if (!atomic_load(&home->cut) &&
        (atomic_load(&home->damaged) || arena_segment_shared(arena, at->segment))) {
        enum ckpt_status status = arena_segment_repair(arena, at->segment);
        if (status != CKPT_OK) {
            return status;
        }
    }
    if (!punch(arena, at)) {
        return CKPT_ERR_SYSTEM;
    }
    struct segment *part = &arena->segments[arena->segment_count + id - CKPT_PART_ID_FIRST];
    part->at = *at;
    part->node = home->node;
    arena_segment_name(id, name);
    enum ckpt_status status =
        arena_segment_make(arena, id, name, address_of(arena, at), &part->fd, reason);
    if (status != CKPT_OK) {
        part->at = (struct room_part){.bytes = 0};
        (void)fill(arena, at);
        return status;
    }
    atomic_store(&part->damaged, false);
    atomic_store(&part->made_new, false);
    atomic_store(&home->cut, true);
    settle(arena, part);
    return CKPT_OK;
}

enum ckpt_status arena_part_drop(struct arena *arena, uint32_t id)
{
    struct segment *part = id >= CKPT_PART_ID_FIRST ? arena_find(arena, id) : NULL;
    if (part == NULL) {
        return CKPT_ERR_INVALID;
    }
    struct room_part at = part->at;
    char name[SEGMENT_NAME_BYTES];
    arena_segment_name(id, name);
    if (unlinkat(arena->directory_fd, name, 0) != 0 && errno != ENOENT) {
        return CKPT_ERR_SYSTEM;
    }
    (void)close(part->fd);
    part->fd = -1;
    atomic_store(&part->begin, 0);
    part->at = (struct room_part){.bytes = 0};
    atomic_store(&arena->segments[at.segment].cut, arena_parts_bytes(arena, at.segment) > 0);
    return fill(arena, &at);
}
