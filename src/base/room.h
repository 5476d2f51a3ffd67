/* SPDX-License-Identifier: Apache-2.0 */
/* What shards take of an arena, and what an arena must have for them. Pure; any thread. */
#ifndef CKPT_BASE_ROOM_H
#define CKPT_BASE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* How an arena hands out its memory: in whole segments. */
struct room_kind {
    uint64_t segment_bytes;
};

/* What the ranks of one node save, and how it is kept. */
struct room_plan {
    uint32_t ranks; /* of this node */
    uint64_t bytes; /* of each rank's shard */
    uint32_t keep;
    uint32_t copies;
    uint32_t nodes; /* of the cluster */
};

/* The bytes that one shard takes; 0: none are asked for. */
uint64_t room_of_shard(const struct room_kind *kind, uint64_t bytes);

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
