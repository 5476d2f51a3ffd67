/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that owns the transport: it registers the arena, serves peers' reads, and reads.
 *
 * Commands are queued by any thread and done in order. A read is cut into slices of whole chunks;
 * slices of all reads under way share the transport's depth in turn, and each chunk goes to the
 * digester the moment it has landed.
 *
 * On failure of a slice the read issues no more, waits until nothing of it is in flight (then
 * nobody writes its memory any more) and finishes with the failure; the peer's endpoint is given up
 * and made anew by the next read. */
#ifndef CKPT_CKPTD_MOVER_H
#define CKPT_CKPTD_MOVER_H

#include "completions.h"
#include "digester.h"
#include "job.h"
#include "rails.h"

struct mover;

struct mover_options {
    const struct rails *rails; /* what to open, and which ports are near which memory */
    const char *devices;       /* of transports that are not verbs; or NULL */
    uint32_t timeout_ms;
    uint32_t depth;       /* slices in flight; 0: what the transport likes */
    uint64_t slice_bytes; /* 0: what the transport likes; rounded to whole chunks */
    uint32_t spin_us;
    uint8_t traffic_class, service_level;
    uint64_t segment_bytes; /* of the arena that will come */
    uint32_t segment_count;
};

/* Starts the thread and opens the transport, so that one that is refused is so before there is an
 * arena; blocks until that is done. reason (CKPT_REASON_MAX + 1 bytes) is set on failure. Errors as
 * transport_open(), and CKPT_ERR_SYSTEM. */
enum ckpt_status mover_open(const struct mover_options *options, struct digester *digester,
                            struct completions *completions, struct mover **mover_out,
                            char *reason);

/* Registers every segment; blocks until that is done. What is given to the mover before is done
 * after it. On failure the mover is still to be stopped. Errors as transport_register(), and
 * CKPT_ERR_MEMORY. */
enum ckpt_status mover_start(struct mover *mover, struct arena *arena, char *reason);

/* The spec of the transport that is open; lives as long as the options. */
const char *mover_transport(const struct mover *mover);

/* Of the transport, as its thread saw it last. Any thread. */
struct transport_rails mover_rails(const struct mover *mover);

/* Stops the thread and closes the transport: all reads finish first, as failed. What other threads
 * still give it is refused: jobs finish as CKPT_ERR_ABORTED. Offers are given by its caller alone,
 * and not any more. */
void mover_end(struct mover *mover);

/* mover_end(), and then frees: no thread may know the mover any more. Nulls *mover. */
void mover_stop(struct mover **mover);

void mover_read(struct mover *mover, struct job *job); /* takes the caller's hold */
/* A gather. As a read it is cancelled by its work; it is not held back by mover_hold(). */
void mover_gather(struct mover *mover, struct job *job);
void mover_cancel(struct mover *mover, uint64_t work);
/* A renewal, from its begin: cuts its part out of its segment, makes segments whole that were cut,
 * and gives what others may have had to the digester, to be zeroed. Takes the hold. */
void mover_shape(struct mover *mover, struct job *job);
void mover_renew(struct mover *mover, struct job *job); /* its wanting segments; takes the hold */
void mover_link_down(struct mover *mover, uint32_t link);

/* While held, no slice of a read is issued. What is in flight lands, and peers are served. */
void mover_hold(struct mover *mover, bool held);

/* Fills in the offer and posts it to the completions. */
void mover_offer(struct mover *mover, struct offer_reply *offer);

/* Makes the segments' descriptors that were given out so far stale. */
void mover_revoke(struct mover *mover, const uint16_t *segments, uint32_t n);

#endif
