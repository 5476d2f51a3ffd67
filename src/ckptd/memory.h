/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_MEMORY_H
#define CKPT_CKPTD_MEMORY_H

#include "arena/arena.h"
#include "ckptd/daemon.h"
#include "daemon/part.h"

/* The arena: the pinned memory that shards lie in. */
extern struct part part_memory;
enum memory_key {
    MEMORY_DIRECTORY,
    MEMORY_BYTES,
    MEMORY_SEGMENT_BYTES,
    MEMORY_HUGE_PAGES,
    MEMORY_LOCK,
    MEMORY_NUMA_NODES,
    MEMORY_PREFAULT_THREADS,
    MEMORY_KEYS
};

/* As it is asked for, before there is an arena. */
uint64_t memory_segment_bytes(const struct config *config);
uint32_t memory_segments(const struct config *config);

/* [arena] numa_nodes as numbers. CKPT_ERR_CONFIG, with a reason as a check's. */
enum ckpt_status memory_numa_nodes(const struct config *config, int nodes_out[ARENA_NODES_MAX],
                                   size_t *count_out, char *reason);

#endif
