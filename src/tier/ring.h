/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of one file on their way to the disk or back, several at once, each within a time.
 *
 * By io_uring; where that is not allowed, by one call at a time. A ring is used by one thread.
 *
 * A block that is not answered within the time makes everything after it fail with ETIMEDOUT, and
 * ring_end() leaves what the kernel may still touch where it is. */
#ifndef CKPT_TIER_RING_H
#define CKPT_TIER_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_BLOCK_BYTES (UINT64_C(1) << 20)
#define RING_ALIGN UINT64_C(4096)
#define RING_DEPTH_MAX 64

struct ring_block {
    uint8_t *own; /* RING_BLOCK_BYTES of the ring's own, aligned; NULL until they are asked for */
    uint8_t *at;  /* what is left of it */
    size_t left;
    uint64_t offset;
    bool is_busy;
    bool is_read;
};

struct ring {
    struct io_uring uring;
    bool is_uring; /* else one call at a time */
    int fd;        /* borrowed */
    uint32_t depth;
    uint32_t timeout_ms;
    int error; /* the first errno; ENODATA: the file ended */
    struct ring_block blocks[RING_DEPTH_MAX];
};

/* fd must stay open until ring_end(). */
void ring_begin(struct ring *ring, int fd, uint32_t depth, uint32_t timeout_ms);

/* False: something failed, and ring->error says what. */
bool ring_block(struct ring *ring, struct ring_block **block_out); /* waits for one that is free */
bool ring_own(struct ring *ring, struct ring_block *block);        /* gives it memory */
bool ring_go(struct ring *ring, struct ring_block *block, bool is_read, void *data, size_t bytes,
             uint64_t offset);
bool ring_wait(struct ring *ring); /* for all of them */
bool ring_sync(struct ring *ring); /* and then for the disk */

void ring_end(struct ring *ring);

#endif
