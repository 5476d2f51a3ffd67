/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: an arena while it is open. */
#ifndef CKPT_ARENA_STATE_H
#define CKPT_ARENA_STATE_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "arena/arena.h"

/* A segment, or a part of one. */
struct segment {
    int fd; /* the only open file of this process on it: see arena_segment_shared() */
    int node;
    atomic_bool damaged;
    atomic_bool made_new; /* since arena_open(), and no record stored since claims it */
    atomic_bool cut;      /* a segment with parts */
    struct room_part at;  /* a part; of 0 bytes: there is none of this id */
    /* Where the agent has the part mapped, for the guard; 0: nowhere. */
    _Atomic(uintptr_t) begin;
    _Atomic(uintptr_t) end;
};

struct arena {
    char directory[ARENA_PATH_MAX + 1];
    int directory_fd; /* holds the flock */
    bool huge;
    bool ask_transparent_huge_pages;
    enum arena_lock lock;
    atomic_bool unlocked; /* with ARENA_LOCK_TRY: some segment could not be locked */
    uint64_t page_bytes;
    uint64_t segment_bytes;
    uint32_t segment_count;
    uint32_t part_count; /* ids of parts that there may be */
    uint32_t slot_count;
    uint8_t *base; /* segment 0; the others follow */
    void *reservation;
    size_t reserved_bytes;
    struct segment *segments; /* and behind them the parts */

    int index_fd;
    uint8_t *index; /* mapped; laid out in index.c */
    size_t index_bytes;
    uint8_t *values; /* mapped; laid out in values.c; NULL: none are kept */
    size_t values_bytes;
    pthread_mutex_t values_mutex; /* guards what is in them */
    bool index_fresh;             /* made by this arena_open(), and not published */
    bool is_made_here;            /* by this arena_open(): it adopted nothing */
    bool directory_is_made_here;
    bool is_default_directory;    /* no option named it */
    bool (*is_stopped)(void);     /* while it is opened; else NULL */
    pthread_mutex_t header_mutex; /* guards the header copies, and the cluster */
    struct nonce cluster;
    uint64_t header_sequence;
    _Atomic(uint64_t) generation_floor;
    _Atomic(uint64_t) epoch;
};

/* The segment or part; NULL: there is none of this id. */
static inline struct segment *arena_find(const struct arena *arena, uint32_t id)
{
    if (id < CKPT_PART_ID_FIRST) {
        return id < arena->segment_count ? &arena->segments[id] : NULL;
    }
    uint32_t part = id - CKPT_PART_ID_FIRST;
    assert(arena->part_count == 0 || arena->segments != NULL);
    bool is_there =
        part < arena->part_count && arena->segments[arena->segment_count + part].at.bytes > 0;
    return is_there ? &arena->segments[arena->segment_count + part] : NULL;
}

static inline uint64_t arena_bytes_of(const struct arena *arena, const struct segment *segment)
{
    return segment->at.bytes > 0 ? segment->at.bytes : arena->segment_bytes;
}

#endif
