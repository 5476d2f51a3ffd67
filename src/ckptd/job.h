/* SPDX-License-Identifier: Apache-2.0 */
/* One piece of the machine's work, on its way through the threads of the agent.
 *
 * A job is made by the loop, handed to the mover (reads, gathers) or the digester (digests,
 * renewals), and comes back to the loop as a completion; the loop frees it. While it is out,
 * whoever still touches its memory holds a reference: one a read in flight, one a chunk that waits
 * for its digest, one the mover itself. The last to let go finishes it. */
#ifndef CKPT_CKPTD_JOB_H
#define CKPT_CKPTD_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "digest/digest.h"
#include "wire/message.h"

struct completions;

enum job_kind { JOB_DIGEST, JOB_READ, JOB_GATHER, JOB_RENEW };

struct job_region {
    uint32_t bytes;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
};

struct transport_region;

/* A rank's memory on its way into a slot. */
struct gather {
    int descriptor; /* of the dma-buf; -1: none came. Closed with the job */
    uint32_t range_count;
    uint32_t range_next;
    uint64_t range_done;             /* issued of that one */
    struct transport_region *region; /* the mover's, while it runs */
    uint64_t region_offset;          /* of the region in the dma-buf */
    struct message_range ranges[];
};

struct job {
    struct job *next; /* of the list it is in */
    enum job_kind kind;
    uint64_t work;
    uint32_t slot;
    uint64_t generation;
    uint64_t bytes;
    uint64_t chunk_count;
    uint64_t chunk_next; /* the digester's or the mover's next; under its lock */
    uint8_t *cvs;        /* DIGEST_CV_BYTES a chunk */
    uint32_t segment_count;
    uint16_t *segments;
    struct room_part part; /* that the only id is of; of 0 bytes: they are segments */
    struct arena *arena;
    struct completions *completions;
    const struct digest_engine *engine;

    atomic_uint_fast64_t holders;
    atomic_int status; /* the first failure */
    atomic_bool cancelled;

    /* JOB_READ, JOB_GATHER */
    uint32_t link;
    uint32_t in_flight; /* slices; the mover's */
    uint32_t address_bytes;
    uint8_t *address;
    uint32_t region_count;
    struct job_region *regions;
    uint64_t region_bytes; /* of one, but for the last: the source's segment size */

    struct gather *gather; /* JOB_GATHER */

    /* JOB_RENEW */
    uint32_t wanting_count;
    uint16_t *wanting;

    struct digest digest; /* set when it is finished well */
};

/* A job over n segments, with one holder; NULL: no memory. */
struct job *job_make(enum job_kind kind, uint64_t work, uint32_t slot, uint64_t generation,
                     uint64_t bytes, const uint16_t *segments, uint32_t n, struct arena *arena,
                     struct completions *completions, const struct digest_engine *engine);

/* Copies what a read needs from the offer; false: no memory. */
bool job_take_offer(struct job *job, uint32_t link, const struct message_offer *offer);

/* Copies what a gather needs, and takes the descriptor, also on failure; false: no memory. */
bool job_take_gather(struct job *job, const struct message_gather *ask, int descriptor);

void job_hold(struct job *job);
void job_fail(struct job *job, enum ckpt_status status); /* keeps the first */
bool job_has_failed(const struct job *job);              /* or was cancelled */
void job_release(struct job *job);                       /* the last finishes and posts it */
void job_free(struct job *job);

/* Where chunk's bytes are in the agent's mapping, and how many. A chunk never spans two segments.
 */
uint8_t *job_chunk_address(const struct job *job, uint64_t chunk);
uint64_t job_chunk_bytes(const struct job *job, uint64_t chunk);

#endif
