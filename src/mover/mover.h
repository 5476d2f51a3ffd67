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
#ifndef CKPT_MOVER_MOVER_H
#define CKPT_MOVER_MOVER_H

#include "mover/completions.h"
#include "mover/digester.h"
#include "mover/options.h"
#include "transport/transport.h"

struct mover;

/* Starts the thread and opens the transport, so that one that is refused is so before there is an
 * arena; blocks until that is done. reason (CKPT_REASON_MAX + 1 bytes) is set on failure. Errors as
 * transport_open(), and CKPT_ERR_SYSTEM. */
enum ckpt_status mover_open(const struct mover_options *options, struct mover **mover_out,
                            char *reason);

/* Registers every segment; blocks until that is done. What is given to the mover before is done
 * after it. On failure the mover is still to be stopped. The arena, the digester, which gets what
 * has landed, and the completions, which get offers, outlive the mover. Errors as
 * transport_register(), and CKPT_ERR_MEMORY. */
enum ckpt_status mover_start(struct mover *mover, struct arena *arena, struct digester *digester,
                             struct completions *completions, char *reason);

/* The spec of the transport that is open; lives as long as the options. */
const char *mover_transport(const struct mover *mover);

/* Why that is the fallback, and not what was chosen; NULL: it is what was chosen. */
const char *mover_fell(const struct mover *mover);

/* Of the transport, as its thread saw it last. Any thread. */
struct transport_rails mover_rails(const struct mover *mover);

/* Stops the thread and closes the transport: what it has of works finishes first, as failed.
 * Nobody may give it anything any more. Nulls *mover; NULL is let be. */
void mover_stop(struct mover **mover);

/* Reads a WORK_READ from its peer, or a WORK_GATHER from its rank; takes the caller's hold. A
 * gather, which a rank waits for, is not held back by mover_hold(). */
void mover_read(struct mover *mover, struct work *work);
void mover_cancel(struct mover *mover, uint64_t number); /* the read of this work */

/* A renewal, from its begin: cuts its part out of its segment, makes segments whole that were cut,
 * and gives what others may have had to the digester, to be zeroed. Takes the hold. */
void mover_shape(struct mover *mover, struct work *work);

/* A renewal that the digester handed back: its wanting segments get new files. Takes the hold. */
void mover_renew(struct mover *mover, struct work *work);

void mover_link_down(struct mover *mover, uint32_t link);

/* While held, no slice of a read is issued. What is in flight lands, and peers are served. */
void mover_hold(struct mover *mover, bool held);

/* Fills in the offer and posts it to the completions. */
void mover_offer(struct mover *mover, struct offer_reply *offer);

/* Makes the segments' descriptors that were given out so far stale. */
void mover_revoke(struct mover *mover, const uint16_t *segments, uint32_t n);

#endif
