/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the arena share; no other room includes it. */
#ifndef CKPT_ARENA_INSIDE_H
#define CKPT_ARENA_INSIDE_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "arena/arena.h"

#define SEGMENT_NAME_BYTES 32

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
    bool index_fresh;  /* made by this arena_open(), and not published */
    bool is_made_here; /* by this arena_open(): it adopted nothing */
    bool directory_is_made_here;
    bool is_default_directory;    /* no option named it */
    bool (*is_stopped)(void);     /* while it is opened; else NULL */
    pthread_mutex_t header_mutex; /* guards the header copies, and the cluster */
    struct nonce cluster;
    uint64_t header_sequence;
    _Atomic(uint64_t) generation_floor;
    _Atomic(uint64_t) epoch;
};

/* arena.c */
void arena_explain(char reason[ARENA_REASON_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Explains errno: "<what>: <text>". ENOSPC and ENOMEM are CKPT_ERR_MEMORY. */
enum ckpt_status arena_explain_errno(char reason[ARENA_REASON_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* directory.c: sets directory, directory_fd (locked), huge, page_bytes. With create false,
 * CKPT_ERR_NOT_FOUND when there is none. */
enum ckpt_status arena_directory_open(struct arena *arena, const struct arena_options *options,
                                      bool create, char reason[ARENA_REASON_BYTES]);
/* Removes what arena_open() has made: see arena_discard(). All but the directory is closed. */
void arena_directory_undo(struct arena *arena);
/* The first hugetlbfs mount of 2 MiB pages. */
bool arena_find_hugetlbfs(char path_out[ARENA_PATH_MAX + 1]);
/* Opens `name` in the arena's directory: CKPT_ERR_NOT_FOUND, or refused when it is a link, another
 * user's, open to others or no regular file. */
enum ckpt_status arena_file_open(struct arena *arena, const char *name, bool create, int *fd_out,
                                 char reason[ARENA_REASON_BYTES]);
void arena_segment_name(uint32_t id, char name_out[SEGMENT_NAME_BYTES]);
/* Removes the files of parts that are not open. */
enum ckpt_status arena_directory_tidy(struct arena *arena, char reason[ARENA_REASON_BYTES]);

/* index.c: sets index*, generation_floor, epoch; checks the geometry. A new index becomes one by
 * arena_index_publish(), once the segments are there: until then it is made anew at every open. */
enum ckpt_status arena_index_open(struct arena *arena, char reason[ARENA_REASON_BYTES]);
void arena_index_publish(struct arena *arena);
void arena_index_close(struct arena *arena);

/* preflight.c: limits and room, before anything large is made. */
enum ckpt_status arena_preflight(struct arena *arena, uint64_t missing_bytes,
                                 char reason[ARENA_REASON_BYTES]);

/* segments.c: reserves the addresses; opens, maps and faults in all segments, in threads. */
enum ckpt_status arena_segments_open(struct arena *arena, const struct arena_options *options,
                                     char reason[ARENA_REASON_BYTES]);
void arena_segments_close(struct arena *arena);

/* pin.c */
/* Makes `name` anew, of a segment's size and with no bytes yet. */
enum ckpt_status arena_file_make(struct arena *arena, const char *name, int *fd_out,
                                 char reason[ARENA_REASON_BYTES]);
/* Makes `name` anew and pins what the segment or part has at address. On an error the address may
 * have lost its old mapping; nothing is left of the new file. */
enum ckpt_status arena_segment_make(struct arena *arena, uint32_t id, const char *name,
                                    uint8_t *address, int *fd_out, char reason[ARENA_REASON_BYTES]);
/* Bytes of a file, and where they are to be mapped. */
struct pin {
    uint32_t id; /* of the segment or part, for its node and for messages */
    int fd;
    uint64_t offset;
    uint64_t bytes;
    uint8_t *address;
};
/* Maps them, binds them as the segment wants, faults them in, locks them. Keeps the bytes. */
enum ckpt_status arena_pin(struct arena *arena, const struct pin *pin,
                           char reason[ARENA_REASON_BYTES]);
/* True when the file has its full size, and so many bytes. */
bool arena_file_is_whole(const struct arena *arena, int fd, uint64_t bytes);

/* parts.c */
/* Opens the parts that records claim, marks those that have to be made, and removes the files of
 * all others. */
enum ckpt_status arena_parts_open(struct arena *arena, uint64_t *missing_bytes_out,
                                  char reason[ARENA_REASON_BYTES]);
/* Pins or makes a cut segment's parts, and what is left of it. */
enum ckpt_status arena_parts_pin(struct arena *arena, uint32_t segment,
                                 char reason[ARENA_REASON_BYTES]);
uint64_t arena_parts_bytes(const struct arena *arena, uint32_t segment); /* of all its parts */

/* inventory.c: what whole records claim. */
#define NOBODY UINT32_MAX
struct claims {
    /* For each id the first two slots whose records claim it. */
    uint32_t first[CKPT_ARENA_IDS_MAX];
    uint32_t second[CKPT_ARENA_IDS_MAX];
    /* For each slot whose record claims memory under another id that is also the slot's, and which
     * slot that is; NOBODY: none is. */
    uint32_t contested_by[CKPT_ARENA_SEGMENTS_MAX];
};
void arena_claims_collect(struct arena *arena, struct claims *claims_out);
/* Whether the record's memory is its own alone. */
bool arena_claims_are_alone(const struct claims *claims, const struct arena_record *record);

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

/* guard.c */
enum ckpt_status arena_guard_add(struct arena *arena, uint8_t *address, uint32_t count,
                                 const uint16_t *segments);
void arena_guard_remove(const uint8_t *address);

#endif
