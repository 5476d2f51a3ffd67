/* SPDX-License-Identifier: Apache-2.0 */
/* One piece of the machine's work, on its way through the threads of the agent.
 *
 * A work is made by the loop, handed to the mover (reads, gathers, renewals) or the digester
 * (digests), and comes back to the loop when it is finished; the loop frees it. While it is out,
 * whoever still touches its memory holds a reference: one a read in flight, one a chunk that waits
 * for its digest, one the mover itself. The last to let go finishes it. */
#ifndef CKPT_MOVER_WORK_H
#define CKPT_MOVER_WORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "mover/proof.h"
#include "wire/message.h"

struct transport_region;
struct work;

enum work_type { WORK_DIGEST, WORK_READ, WORK_GATHER, WORK_RENEW, WORK_TYPES };

/* Hears, in any thread, of a work that nobody holds any more, or that one who holds it cannot go on
 * with (work_hand_back). From then on it is the loop's. */
typedef void work_finished(void *context, struct work *work);

/* What a work is made of. */
struct work_plan {
    enum work_type type;
    uint64_t number; /* by which the machine knows it */
    uint32_t slot;
    uint64_t generation;
    uint64_t bytes;
    const uint16_t *segments; /* segment_count of them; copied */
    uint32_t segment_count;
    struct room_part part; /* that the only id is of; of 0 bytes: they are segments */
    struct arena *arena;
    const struct digest_engine *engine;
    uint64_t chunk_first;  /* the shard's: the first that is digested, or read */
    uint64_t chunk_count;  /* WORK_DIGEST: 0: all; else the values of the others are those that were
                            * kept */
    uint64_t shard_bytes;  /* WORK_READ: 0, or of the whole shard, of which the slot has a part: the
                            * values of the others come with the offer */
    struct digest_key key; /* WORK_DIGEST, WORK_READ: what the bytes are proven with */
    struct digest_key device_key; /* WORK_DIGEST: a second digest of them; of an unknown kind: no */
    bool scrubs;                  /* WORK_DIGEST: it stands back for all other work */
    uint64_t patience_ms;         /* and for so long */
    work_finished *finished;
    void *context;
};

/* Bytes that are read, as who has them described them. */
struct work_region {
    uint32_t bytes;
    uint8_t descriptor[CKPT_DESCRIPTOR_MAX];
};

/* A peer's offer, of WORK_READ. */
struct work_offer {
    uint32_t address_bytes;
    uint8_t *address;
    uint64_t region_bytes; /* of one, but for the last: the source's segment size */
};

/* A rank's memory on its way into a slot, of WORK_GATHER. */
struct work_gather {
    int descriptor; /* of the dma-buf; -1: none came. Closed with the work */
    uint32_t range_count;
    uint32_t range_next;
    uint64_t range_done;             /* issued of that one */
    struct transport_region *region; /* the mover's, while it runs */
    uint64_t region_offset;          /* of the region in the dma-buf */
    struct message_range ranges[];
};

struct work {
    struct work *next; /* of the list it is in */
    struct work_plan plan;
    uint64_t chunk_count; /* of the shard */
    uint64_t chunk_base;  /* that the slot begins with */
    uint64_t chunk_end;   /* behind the last that is digested, or read */
    uint64_t chunk_next;  /* the digester's or the mover's next; under its lock */
    struct proof proof;   /* of works whose chunks are digested */
    struct proof device_proof;

    atomic_uint_fast64_t holders;
    atomic_int status; /* the first failure */
    atomic_bool cancelled;

    /* WORK_READ, WORK_GATHER */
    uint32_t link;
    uint32_t in_flight; /* slices; the mover's */
    uint32_t region_count;
    struct work_region *regions;
    struct work_offer offer;
    struct work_gather *gather;

    /* WORK_RENEW: those of its segments that want new files */
    uint32_t wanting_count;
    uint16_t *wanting;
    bool is_handed_back;

    struct digest digest; /* set when it is finished well, as the second one */
    struct digest device_digest;
    uint16_t segments[]; /* of the plan */
};

/* With one holder; NULL: no memory. */
struct work *work_make(const struct work_plan *plan);

/* Copies what a read needs from the offer; false: no memory. The work fails where it is of a part
 * and the offer has no values of the other chunks. */
bool work_take_offer(struct work *work, uint32_t link, const struct message_offer *offer);

/* Copies what a gather needs, and takes the descriptor, also on failure; false: no memory. */
bool work_take_gather(struct work *work, const struct message_gather *ask, int descriptor);

void work_hold(struct work *work);
void work_fail(struct work *work, enum ckpt_status status); /* keeps the first */
bool work_has_failed(const struct work *work);              /* or was cancelled */
void work_release(struct work *work);                       /* the last finishes it */

/* Gives the work, unfinished and with the caller's hold, to who waits for it, to be handed on:
 * work->is_handed_back. */
void work_hand_back(struct work *work);
void work_free(struct work *work);

/* The values of a chunk, whose bytes are there now. Of different chunks: any threads at once. */
enum ckpt_status work_digest_chunk(struct work *work, uint64_t chunk);

/* Where chunk's bytes are in the agent's mapping, and how many.
 * A chunk never spans two segments. */
uint8_t *work_chunk_address(const struct work *work, uint64_t chunk);
uint64_t work_chunk_bytes(const struct work *work, uint64_t chunk);

#endif
