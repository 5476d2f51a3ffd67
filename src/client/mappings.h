/* SPDX-License-Identifier: Apache-2.0 */
/* The slots that were written last stay mapped, so that a save into the same segments maps nothing.
 *
 * A segment's number is not enough to know it again: the agent gives it a new file when it passes
 * to another user. So each is known by the device and inode of its file. A kept mapping that has a
 * segment in common with a new one is dropped, so that no file outlives its segment for long.
 *
 * A child made by fork() gets none of them (MADV_DONTFORK): a worker that lives on would keep the
 * memory of files that the agent has given up, and could write into a slot.
 *
 * One thread. Never writes to what it maps but to fault pages in, which changes no byte. */
#ifndef CKPT_CLIENT_MAPPINGS_H
#define CKPT_CLIENT_MAPPINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ckpt/ckpt.h>

#include "arena/view.h"
#include "base/limits.h"

#define MAPPINGS_KEPT 8

struct mapped_segment {
    uint64_t device;
    uint64_t inode;
    uint16_t id;
};

struct mapping {
    struct arena_view view; /* address NULL: none */
    uint64_t generation;
    uint64_t segment_bytes;
    uint64_t part_bytes; /* 0: of segments */
    uint64_t used;       /* rises: the lowest is the one to go */
    uint64_t faulted;    /* bytes whose pages are there, from the begin on */
    uint32_t count;
    struct mapped_segment segments[CKPT_SEGMENTS_PER_SHARD_MAX];
};

struct mappings {
    uint64_t clock;
    uint64_t generation; /* of the newest mapping */
    ckpt_watch *watch;   /* NULL: nobody is told */
    void *watch_context;
    ckpt_watch *pin; /* this library's own, as the two above */
    void *pin_context;
    struct mapping kept[MAPPINGS_KEPT];
};

/* Maps segments, or a part, of numbers ids, writable and faulted in, or finds them mapped.
 * *address_out is good until the next call. The descriptors stay the caller's.
 *
 * ERRORS: those of arena_view_map(); CKPT_ERR_INVALID when a segment is there twice. */
enum ckpt_status mappings_get(struct mappings *mappings, const uint16_t *ids,
                              const struct arena_view_files *files, uint64_t bytes,
                              uint8_t **address_out);

/* The same for a save to come: mapped, and faulted in piece by piece until *is_stopped; what is
 * left then is mappings_get()'s. */
enum ckpt_status mappings_prepare(struct mappings *mappings, const uint16_t *ids,
                                  const struct arena_view_files *files, uint64_t bytes,
                                  const atomic_bool *is_stopped);

void mappings_clear(struct mappings *mappings);

/* Tells of what is mapped now, and from now on of what is mapped and unmapped; NULL: nobody. */
void mappings_watch(struct mappings *mappings, ckpt_watch *watch, void *context);

/* The same for what this library itself ties to mappings. */
void mappings_pin(struct mappings *mappings, ckpt_watch *pin, void *context);

/* In a child made by fork(), which has none of them: what lies there now is another's. */
void mappings_forget(struct mappings *mappings);

#endif
