/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between reads: where their bytes come from. reads.c has the table of feeds; another
 * one is a file beside feed_peer.c and feed_device.c, and a row there. */
#ifndef CKPT_MOVER_FEED_H
#define CKPT_MOVER_FEED_H

#include "mover/state.h"
#include "mover/work.h"

/* What is to be read next: bytes that lie in one segment here and in one region there. */
struct piece {
    uint64_t offset; /* in the slot */
    uint64_t bytes;
    uint64_t chunk; /* the first of `chunks` that are digested when they have landed */
    uint32_t chunks;
    const struct work_region *remote;
    uint64_t remote_offset;
};

/* Called on the mover's thread. */
struct feed {
    bool is_waited_for; /* by a rank, so that mover_hold() does not hold it back */

    /* Whether it can be read at all: else the work fails so, and ends. */
    enum ckpt_status (*begin)(struct mover *m, struct work *work);

    /* The next piece, at most a slice; and that it was issued. */
    void (*next)(const struct mover *m, const struct work *work, struct piece *piece_out);
    void (*issued)(struct work *work, const struct piece *piece);

    /* Whether there is no next one. */
    bool (*is_issued)(const struct work *work);

    /* Nothing of it is in flight, or it did not begin. NULL: nothing to be done. */
    void (*end)(struct work *work);
};

#endif
