/* SPDX-License-Identifier: Apache-2.0 */
/* What shards take of an arena, and what an arena must have for them. Pure; any thread.
 *
 * A shard takes whole segments, or, where less does, one part of a segment: a power of two of bytes
 * that is at least a page of the arena's kind and lies at a multiple of itself. So it takes less
 * than twice its bytes, or one page. */
#ifndef CKPT_BASE_ROOM_H
#define CKPT_BASE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* How an arena hands out its memory. */
struct room_kind {
    uint64_t segment_bytes;
    uint64_t page_bytes; /* a power of two; 0: in whole segments alone */
};

/* A part of a segment; of 0 bytes: none. */
struct room_part {
    uint32_t segment;
    uint64_t offset;
    uint64_t bytes;
};

/* What the ranks of one node save, and how it is kept. */
struct room_plan {
    uint32_t ranks; /* of this node */
    uint64_t bytes; /* of each rank's shard */
    uint32_t keep;
    uint32_t copies;
    uint32_t nodes; /* of the cluster */
};

/* The bytes of the part that a shard takes; 0: it takes whole segments. */
uint64_t room_part_bytes(const struct room_kind *kind, uint64_t bytes);

/* The segments that a shard takes where it takes no part. */
uint64_t room_whole_segments(const struct room_kind *kind, uint64_t bytes);

/* The bytes that one shard takes; 0: none are asked for. */
uint64_t room_of_shard(const struct room_kind *kind, uint64_t bytes);

/* Whether such a part can be, in an arena of `segments` segments. */
bool room_part_is_sound(const struct room_kind *kind, uint32_t segments,
                        const struct room_part *part);

bool room_parts_overlap(const struct room_part *a, const struct room_part *b);

/* How many shards a node has to hold: (keep + 1) x copies a rank, and its part of what a lost
 * node held, where a node is left to make that again. */
uint64_t room_shards(const struct room_plan *plan);

/* Segments for so many shards of so many bytes; UINT64_MAX: more than can be counted. */
uint64_t room_segments(const struct room_kind *kind, uint64_t shards, uint64_t bytes);

/* The largest shard, in bytes, that `segments` segments hold for each rank of the plan, whose bytes
 * are not looked at. 0: they hold none. */
uint64_t room_largest_shard(const struct room_kind *kind, uint64_t segments,
                            const struct room_plan *plan);

#endif
