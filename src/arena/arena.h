/* SPDX-License-Identifier: Apache-2.0 */
/* The arena: one node's pinned memory, as files in memory that survive the agent.
 *
 * It maps, binds, faults in, locks, zeroes and records. Which segment belongs to which shard is the
 * agent machine's decision, never the arena's.
 *
 * Threads: arena_open(), arena_close(), arena_segment_repair(), arena_slot_map() and
 * arena_slot_unmap() want one thread at a time. Everything else may be called from any thread, as
 * long as no two calls name the same slot or, for the calls that write, the same segment.
 *
 * What a trainer can do to the agent with a writable descriptor, and what stands against it
 * (tests/unit/arena/test_arena_guard.c shows it):
 *  - Cut the file: tmpfs files of a mount carry F_SEAL_SEAL, so the seals that forbid it
 *    cannot be set; hugetlbfs takes seals on memfds only, and memfds die with the agent. The
 *    append-only attribute forbids it on tmpfs, but needs CAP_LINUX_IMMUTABLE and forbids
 *    new mappings. So cutting stays possible, and the agent survives it: arena_guard_install().
 *  - Punch holes: the file keeps its size and loses pages. arena_segments_check() sees it
 *    until the pages are faulted in anew; after that the bytes are zero and the digest tells.
 *  - Keep a descriptor or mapping when the memory passes to another user:
 *    arena_segments_pass() sees it and changes the file beneath. */
#ifndef CKPT_ARENA_ARENA_H
#define CKPT_ARENA_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena/record.h"
#include "arena/view.h"
#include "base/ids.h"
#include "base/limits.h"
#include <ckpt/status.h>

struct arena;

#define ARENA_PATH_MAX 255
#define ARENA_NODES_MAX 64
#define ARENA_REASON_BYTES 1024 /* a start-up error may be several sentences */

enum arena_lock {
    ARENA_LOCK_REQUIRED = 0, /* memory that can be swapped out is a start-up error */
    ARENA_LOCK_TRY,
    ARENA_LOCK_OFF,
};

enum arena_huge_pages {
    ARENA_HUGE_PAGES_AUTO = 0, /* hugetlbfs where there is enough of it, else tmpfs */
    ARENA_HUGE_PAGES_REQUIRE,
    ARENA_HUGE_PAGES_NEVER,
};

/* What was done with one segment, for the log; called from the thread of arena_open(). */
struct arena_progress {
    uint32_t segments_done;
    uint32_t segment_count;
    uint32_t segment; /* the id */
    bool adopted;     /* it was there; false: made now */
    int node;         /* the NUMA node it is bound to, or -1 */
};
typedef void (*arena_progress_fn)(void *context, const struct arena_progress *progress);

struct arena_options {
    const char *directory;  /* NULL: the default for node_name, see arena_open() */
    const char *node_name;  /* for the default directory; may be NULL when directory is given */
    const char *hugetlbfs;  /* a hugetlbfs mount to use; NULL: looked up in /proc/mounts */
    uint64_t segment_bytes; /* 0: CKPT_SEGMENT_BYTES_DEFAULT */
    uint32_t segment_count; /* 1 to CKPT_ARENA_SEGMENTS_MAX */
    uint32_t part_count;    /* ids of parts, at most CKPT_ARENA_PARTS_MAX; as many as there may be
                             * open files; 0: segments alone */
    uint32_t slot_count;    /* 1 to segment_count, with parts to CKPT_ARENA_SEGMENTS_MAX; 0:
                             * segment_count. An arena that is there and has fewer gets more, one
                             * that has more keeps them */
    const int *nodes;       /* NUMA nodes to bind to, or NULL: bind nowhere */
    uint32_t node_count;    /* at most ARENA_NODES_MAX */
    enum arena_lock lock;
    enum arena_huge_pages huge_pages;
    uint32_t prefault_threads;  /* 0: one a core, at most 16 */
    arena_progress_fn progress; /* may be NULL */
    void *progress_context;
    bool (*is_stopped)(void); /* asked often, by any thread, until it is open; NULL: never */
};

/* arena_open -- makes what is missing, adopts what is there, maps, binds, faults in and locks it.
 *
 * Without options->directory the directory is the one of these that already is an arena, else the
 * first that can be made: <hugetlbfs mount>/ckptd-<node> when the mount is the agent's to write and
 * has free huge pages enough, /dev/shm/ckptd-<node>. It is made with mode 0700; one that is a
 * symlink, another user's or open to others is refused. A directory on anything but tmpfs or
 * hugetlbfs is refused. Its parent has to exist.
 *
 * All memory is allocated here: a shortage is an error of this call, never a SIGBUS later. Bytes of
 * adopted segments are not changed; a segment file that is missing, or is not of its full size, is
 * made new, and arena_inventory() refuses the records that claim it. Parts that no record claims
 * go back to their segments. The nodes share the segments
 * in blocks, the first node the lowest ids, and strictly: a node without memory is an error.
 *
 * Blocks for as long as the first touch of the memory takes. Sets RLIMIT_NOFILE's and
 * RLIMIT_MEMLOCK's soft limits up to what is needed, within the hard ones. Holds an exclusive
 * flock() on the directory until arena_close() or the death of the process.
 *
 * Where it fails, nothing of an arena that it was making is left; one that was there stays.
 *
 * reason: gets one line for a person on every error, and is left alone on CKPT_OK.
 * RETURN VALUE: CKPT_OK, and *arena_out is the arena, the caller's to arena_close().
 * ERRORS, *arena_out untouched:
 *   CKPT_ERR_ABORTED  is_stopped() said so
 *   CKPT_ERR_CONFIG   an option is out of its range, the directory is not ours or not in memory,
 *                     the arena there has another geometry, or RLIMIT_MEMLOCK or RLIMIT_NOFILE is
 *                     too low (the reason names the setting)
 *   CKPT_ERR_BUSY     another agent has this arena open
 *   CKPT_ERR_MEMORY   too little room in the file system, free memory or huge pages
 *   CKPT_ERR_CORRUPT  both copies of the arena header are damaged
 *   CKPT_ERR_VERSION  the arena was made by another version's format
 *   CKPT_ERR_SYSTEM   a system call failed; the reason names it */
enum ckpt_status arena_open(const struct arena_options *options, struct arena **arena_out,
                            char reason[ARENA_REASON_BYTES]);

/* arena_limits_raise -- RLIMIT_MEMLOCK's soft limit up to the hard one, as arena_open() does, for
 * what is pinned before that. */
void arena_limits_raise(void);

/* arena_close -- unmaps and lets go; files and records stay. Nulls *arena; NULL is left alone. The
 * caller has deregistered the memory and ended all threads that touch it. Views made by
 * arena_slot_map() have to be unmapped before. */
void arena_close(struct arena **arena);

/* arena_discard -- arena_close(), and where arena_open() made the arena, and adopted none, removes
 * its files: for a start that came to nothing after all. */
void arena_discard(struct arena **arena);

/* Another arena beside the one that options name. */
struct arena_beside {
    char path[2 * ARENA_PATH_MAX];
    uint64_t bytes; /* of memory, that its files take */
    bool is_in_use; /* by an agent */
    bool is_known;  /* false: it is another user's, and may not be looked into */
};
typedef void (*arena_beside_fn)(void *context, const struct arena_beside *beside);

/* arena_list_beside -- visits what lies in the same place, or for a default directory in both, and
 * is named ckptd-*: who else has the memory, when there is too little. */
void arena_list_beside(const struct arena_options *options, arena_beside_fn visit, void *context);

/* arena_destroy_files -- removes the arena that options name: every shard in it is lost.
 *
 * RETURN VALUE: CKPT_OK, also when there is none.
 * ERRORS: as arena_open(): CKPT_ERR_CONFIG, CKPT_ERR_BUSY, CKPT_ERR_SYSTEM. */
enum ckpt_status arena_destroy_files(const struct arena_options *options,
                                     char reason[ARENA_REASON_BYTES]);

/* Facts of an open arena; constant until arena_close(). The text lives as long as the arena. */
const char *arena_directory(const struct arena *arena);
uint64_t arena_segment_bytes(const struct arena *arena);
uint32_t arena_segment_count(const struct arena *arena);
uint32_t arena_slot_count(const struct arena *arena);
uint64_t arena_page_bytes(const struct arena *arena);                /* 4 KiB, or the huge page's */
bool arena_is_locked(const struct arena *arena);                     /* huge pages are, always */
int arena_segment_node(const struct arena *arena, uint32_t segment); /* -1: not bound */
uint32_t arena_part_count(const struct arena *arena);

/* Parts. A part is a file that has a part of a segment's memory, at the same address, for a shard
 * that needs no more (base/room.h). It has an id as a segment has, from CKPT_PART_ID_FIRST on, and
 * whatever takes a segment's id below takes a part's too, once it has been made. While a segment
 * has parts it is cut: what is left of it is nobody's, and it is used by none of its own id.
 *
 * The calls of arena_part_make() and arena_part_drop() want one thread at a time, no view and no
 * registration of what they change: of the part, and for the first part of the segment.
 *
 * arena_part_make -- cuts the part out of its segment: zeroed, faulted in, locked.
 * ERRORS, nothing changed:
 *   CKPT_ERR_INVALID  no such place, the id is in use, or the place overlaps a part
 *   CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM  as arena_segment_repair(); where the segment cannot be made
 *                     whole again it is marked damaged
 *
 * arena_part_drop -- gives its bytes back to the segment, zeroed; who still has its file open keeps
 * that.
 * ERRORS:
 *   CKPT_ERR_INVALID  there is none
 *   CKPT_ERR_MEMORY, CKPT_ERR_SYSTEM  the part is gone, and the segment marked damaged
 *
 * arena_part_is_there -- whether the id is of a part now, of that very place unless it is NULL.
 * arena_part_within -- some part that overlaps the range; false: there is none. */
enum ckpt_status arena_part_make(struct arena *arena, uint32_t id, const struct room_part *at);
enum ckpt_status arena_part_drop(struct arena *arena, uint32_t id);
bool arena_part_is_there(const struct arena *arena, uint32_t id, const struct room_part *at);
bool arena_part_within(const struct arena *arena, const struct room_part *range, uint16_t *id_out);
bool arena_segment_is_cut(const struct arena *arena, uint32_t segment);
uint64_t arena_memory_bytes(const struct arena *arena, uint32_t id); /* 0: there is none */

/* arena_segment_address -- where the agent has the segment mapped: arena_segment_bytes() bytes,
 * writable. Constant until arena_close(), over arena_segment_repair() too. Segments of
 * neighbouring ids lie side by side. */
uint8_t *arena_segment_address(const struct arena *arena, uint32_t segment);

/* arena_segment_fd -- opens the segment anew, for a descriptor to pass by SCM_RIGHTS.
 *
 * The descriptor is the caller's to close; close-on-exec. read_only: opened O_RDONLY by name, so it
 * cannot be mapped writable, and since the file's mode is 0600, only the agent's own user (or root)
 * can open /proc/self/fd/N of it for writing.
 *
 * RETURN VALUE: CKPT_OK, and *fd_out is set.
 * ERRORS: CKPT_ERR_INVALID: no such segment. CKPT_ERR_SYSTEM: open() failed, errno says why. */
enum ckpt_status arena_segment_fd(struct arena *arena, uint32_t segment, bool read_only,
                                  int *fd_out);

/* arena_guard_install -- makes cut segments survivable. From the main thread, before threads touch
 * an arena, and after the libraries that set a SIGBUS handler of their own (UCX does); calling it
 * again puts it back in front of such a handler.
 *
 * Installs a process-wide SIGBUS handler. A thread that touches a page that an arena or a slot view
 * of this process has lost reads zeros and goes on: the handler puts anonymous memory under the
 * whole segment's mapping and marks the segment damaged. So every use of bytes that a trainer may
 * have had in hand is: touch, then arena_segments_check(); what was computed is believed only when
 * that returns CKPT_OK. A SIGBUS elsewhere goes to the handler that was there before, or kills as
 * ever. System calls (send, write, process_vm_readv) on lost pages fail with EFAULT and raise no
 * signal.
 *
 * RETURN VALUE: CKPT_OK, also when already installed. ERRORS: CKPT_ERR_SYSTEM. */
enum ckpt_status arena_guard_install(void);

/* arena_segment_damaged -- the segment lost pages, as the guard or a check has seen. One load. */
bool arena_segment_damaged(const struct arena *arena, uint32_t segment);

/* arena_segments_check -- asks the file system whether n segments are still whole.
 *
 * One fstat() a segment. Marks as damaged what is not of its full size or has holes.
 *
 * RETURN VALUE: CKPT_OK: all n are whole now and none was marked damaged since it was made or
 * repaired.
 * ERRORS:
 *   CKPT_ERR_CORRUPT  one or more are damaged; see arena_segment_damaged()
 *   CKPT_ERR_INVALID  an id is out of range */
enum ckpt_status arena_segments_check(struct arena *arena, const uint16_t *segments, uint32_t n);

/* arena_segment_repair -- puts a new, zeroed, faulted-in, locked file in the segment's place.
 *
 * The old file lives on, nameless, for whoever still has it open: a trainer that cut it, or that
 * keeps a mapping of memory which is about to pass to another user, has no hold on the new one. The
 * address stays, the pages do not: registrations (RDMA, UCX) have to be undone before and made
 * again after, slot views of it unmapped before. Takes both files' memory for a moment, and the old
 * one's for as long as it is held open elsewhere. Blocks (first touch of segment_bytes).
 *
 * RETURN VALUE: CKPT_OK: the segment is as new, and not damaged.
 * ERRORS, the old file still in its place:
 *   CKPT_ERR_INVALID  no such segment
 *   CKPT_ERR_MEMORY   no room for the new file
 *   CKPT_ERR_SYSTEM   another system call failed */
enum ckpt_status arena_segment_repair(struct arena *arena, uint32_t segment);

/* arena_segment_shared -- does any process, by a descriptor, one in flight, or a mapping, still
 * have the segment open, this process's own arena and views not counted?
 *
 * Asked of the kernel by a write lease, which is only granted to a sole opener. Descriptors from
 * arena_segment_fd() that the agent has not closed count as shared. An answer that cannot be had is
 * "yes". */
bool arena_segment_shared(struct arena *arena, uint32_t segment);

/* arena_segments_zero -- zeroes n segments in place; pages stay, pinned and registered.
 *
 * Stores past the cache, so that a trainer's working set is not thrown out of it. About memory
 * bandwidth; one thread. Zeroing alone does not part a user from memory it still has mapped:
 * arena_segments_pass().
 *
 * ERRORS: CKPT_ERR_INVALID: an id is out of range, nothing is zeroed. CKPT_ERR_CORRUPT: one was
 * or is damaged: it wants arena_segment_repair(). */
enum ckpt_status arena_segments_zero(struct arena *arena, const uint16_t *segments, uint32_t n);

/* arena_segments_pass -- makes n segments fit to be handed to another user.
 *
 * Those that nobody else has open are zeroed in place. Those that are damaged or still open
 * somewhere are listed in wanting_out (room for n ids): deregister them, arena_segment_repair()
 * them, register them.
 *
 * RETURN VALUE: CKPT_OK, and *wanting_count_out is 0 or more.
 * ERRORS: CKPT_ERR_INVALID: an id is out of range, outputs untouched. */
enum ckpt_status arena_segments_pass(struct arena *arena, const uint16_t *segments, uint32_t n,
                                     uint16_t *wanting_out, uint32_t *wanting_count_out);

/* arena_slot_map -- a contiguous view of n segments in the agent's own process, guarded.
 *
 * bytes as for arena_view_map(). Unmap it with arena_slot_unmap(), never with arena_view_unmap().
 * The pages are the same as those at arena_segment_address(), already faulted in.
 *
 * ERRORS: as arena_view_map(), and CKPT_ERR_INVALID for an id out of range, CKPT_ERR_MEMORY when
 * ARENA_VIEWS_MAX views are mapped. */
#define ARENA_VIEWS_MAX 4096
enum ckpt_status arena_slot_map(struct arena *arena, const uint16_t *segments, uint32_t n,
                                uint64_t bytes, bool writable, struct arena_view *view_out);
void arena_slot_unmap(struct arena *arena, struct arena_view *view);

/* arena_record_store -- replaces the record of `slot`.
 *
 * Killed at any instruction, the slot's record is afterwards the old one or the new one, whole. The
 * arena's generation floor is raised first when the record's generation is above it. Not a system
 * call; a few microseconds.
 *
 * ERRORS, the old record still in place:
 *   CKPT_ERR_INVALID  record->slot is not slot, slot or a segment id is out of the arena's range,
 *                     bytes do not fit the segments, or as arena_record_encode()
 *   CKPT_ERR_STALE    the generation is below that of the record in place; or that record is
 *                     damaged, and the generation is not above arena_generation_floor() */
enum ckpt_status arena_record_store(struct arena *arena, uint32_t slot,
                                    const struct slot_record *record);

/* arena_record_load -- reads the newest record of `slot`.
 *
 * reason: may be NULL; on CKPT_ERR_CORRUPT and CKPT_ERR_VERSION it gets one line that says which
 * copy is bad.
 * ERRORS, *record_out untouched:
 *   CKPT_ERR_NOT_FOUND  never written
 *   CKPT_ERR_CORRUPT    the newest copy is damaged, whether or not the older is whole: an older
 *                       state is not the truth. A store makes the slot good again
 *   CKPT_ERR_VERSION    written by another version's format
 *   CKPT_ERR_INVALID    slot is out of range */
enum ckpt_status arena_record_load(struct arena *arena, uint32_t slot,
                                   struct slot_record *record_out, char reason[ARENA_REASON_BYTES]);

/* arena_generation_floor -- the highest generation that was ever stored in any slot of this arena.
 *
 * Survives the loss of any one record or header copy. For a slot whose record is damaged, the
 * next generation is at least this plus one. */
uint64_t arena_generation_floor(const struct arena *arena);

/* arena_epoch, arena_epoch_raise -- the highest coordinator epoch that this arena's agents obeyed.
 *
 * 0 in a new arena. An agent raises it before it acts on what a coordinator of that epoch says, so
 * that the next agent on this arena does not obey an older one. Raising to what is not higher does
 * nothing. Any thread; a few microseconds. Survives the loss of one header copy. */
uint64_t arena_epoch(const struct arena *arena);
void arena_epoch_raise(struct arena *arena, uint64_t epoch);

/* arena_cluster, arena_cluster_set -- the cluster whose coordinator this arena's agents obey.
 *
 * Zero in a new arena, and in one of before arenas knew of clusters. An agent sets it before it
 * acts on what that cluster's coordinator says. Setting what it is already does nothing. Any
 * thread; a few microseconds. Survives the loss of one header copy. */
struct nonce arena_cluster(struct arena *arena);
void arena_cluster_set(struct arena *arena, const struct nonce *cluster);

/* Chunk values: of a slot that was proven by its fingerprint, the 16 bytes of each chunk that the
 * fingerprint was folded from (digest/fingerprint.h), so that one chunk can be proven without the
 * others. They lie beside the records and outlive the agent as these do.
 *
 * What is kept is of one digest: of a slot, its generation, the id of the key and the bytes; values
 * of an earlier user of the slot, or under another key, are not found. The arena cannot tell
 * whether they are right: whoever uses them folds them first, and compares with the fingerprint
 * that the checkpoint was committed with. From any thread. */
#define ARENA_VALUE_BYTES 16
struct arena_values {
    uint32_t slot;
    uint64_t generation;
    uint64_t digest_key;      /* id of the key */
    uint64_t bytes;           /* of the shard */
    const uint16_t *segments; /* of the slot, as in its record */
    uint32_t segment_count;
    struct room_part part;
};

/* arena_values_store -- keeps the values of all chunks, in their order, in place of what was kept
 * of the slot. Killed in between, there are none.
 *
 * ERRORS:
 *   CKPT_ERR_INVALID  no such slot or segment, generation 0, no bytes, or more than fit
 *   CKPT_ERR_MEMORY   the arena keeps none: see arena_keeps_values() */
enum ckpt_status arena_values_store(struct arena *arena, const struct arena_values *of,
                                    const uint8_t *values);

/* arena_values_load -- all of them; values_out has room for ARENA_VALUE_BYTES a chunk.
 *
 * ERRORS, and what is in values_out does not count:
 *   CKPT_ERR_NOT_FOUND  none are kept of that generation, key and size
 *   CKPT_ERR_CORRUPT    a checksum differs
 *   CKPT_ERR_INVALID    as arena_values_store() */
enum ckpt_status arena_values_load(struct arena *arena, const struct arena_values *of,
                                   uint8_t *values_out);

/* arena_keeps_values -- false: there was no room for the file of them (a 65,536th of the arena) at
 * arena_open(), and every chunk's value has to be computed again. */
bool arena_keeps_values(const struct arena *arena);

/* arena_inventory -- visits every slot, in order, with what is to be believed of it.
 *
 * status is that of arena_record_load(), or CKPT_ERR_CORRUPT when the record is whole but cannot be
 * true: it claims a segment, or bytes of one, that another record claims too (both are refused),
 * that lost its bytes (made new at arena_open(), cut, holed; a DIRTY record has none to lose), or
 * that this arena does not have. reason says so, with
 * both slots' numbers; empty on CKPT_OK and CKPT_ERR_NOT_FOUND. record is NULL unless a whole
 * record was read (so also on such a CKPT_ERR_CORRUPT, for the log), valid during the visit.
 * Segments that no slot of status CKPT_OK claims may hold anyone's bytes when any slot is refused:
 * arena_segments_pass() comes before their next use then.
 *
 * RETURN VALUE: the number of slots with a status other than CKPT_OK and CKPT_ERR_NOT_FOUND. */
typedef void (*arena_inventory_fn)(void *context, uint32_t slot, enum ckpt_status status,
                                   const struct slot_record *record, const char *reason);
uint32_t arena_inventory(struct arena *arena, arena_inventory_fn visit, void *context);

#endif
