/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's segments, mapped side by side into one contiguous range of addresses.
 *
 * For trainers (libckpt) and agents alike: never prints, aborts or installs anything. */
#ifndef CKPT_ARENA_VIEW_H
#define CKPT_ARENA_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/status.h>

struct arena_view {
    uint8_t *address;    /* NULL: nothing is mapped */
    uint64_t bytes;      /* of the shard; at most mapped_bytes */
    size_t mapped_bytes; /* count * segment_bytes, or part_bytes */
    void *reservation;   /* what arena_view_unmap() gives back, alignment included */
    size_t reserved_bytes;
};

/* Where a shard's bytes are. */
struct arena_view_files {
    const int *fds; /* one descriptor a segment; not kept: the caller may close them afterwards */
    uint32_t count;
    uint64_t segment_bytes; /* size of every file; a multiple of CKPT_SEGMENT_BYTES_MIN */
    uint64_t part_bytes;    /* that the only file has, from its begin; 0: they are segments */
};

/* arena_view_map -- maps segments, in order, or a part into one contiguous range.
 *
 * bytes          of the shard: more than (count - 1) * segment_bytes, at most count *
 *                segment_bytes; of a part at most part_bytes
 * writable       false maps read-only; for true every descriptor has to be open for writing
 *
 * The range starts at a multiple of CKPT_SEGMENT_BYTES_MIN, or of the files' own page size where
 * that is larger, so huge pages map as such. MAP_SHARED; not pre-faulted (the agent has faulted
 * the files in). A writable range is not inherited by fork(), so that a data loader's children
 * keep no hold on memory that later passes to another user.
 * Blocks: no. Any thread. Allocates no heap.
 *
 * RETURN VALUE: CKPT_OK, and *view_out is set; give it to arena_view_unmap().
 * ERRORS, *view_out untouched and nothing mapped:
 *   CKPT_ERR_INVALID  count is 0 or above CKPT_SEGMENTS_PER_SHARD_MAX, segment_bytes is no
 *                     multiple of CKPT_SEGMENT_BYTES_MIN, part_bytes are no whole pages below
 *                     segment_bytes or of several files, or a descriptor is read-only and writable
 *                     was asked for
 *   CKPT_ERR_SIZE     bytes does not match count and segment_bytes, or a file is not a regular
 *                     file of segment_bytes
 *   CKPT_ERR_MEMORY   no address space, or too many mappings
 *   CKPT_ERR_SYSTEM   a descriptor is bad, or mmap() failed otherwise */
enum ckpt_status arena_view_map(const struct arena_view_files *files, uint64_t bytes, bool writable,
                                struct arena_view *view_out);

/* arena_view_unmap -- unmaps and clears *view. A cleared or NULL view is left alone. */
void arena_view_unmap(struct arena_view *view);

#endif
