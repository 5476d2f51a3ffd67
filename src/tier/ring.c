/* SPDX-License-Identifier: Apache-2.0 */
#include "tier/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYNC_MARK UINT64_MAX /* the user data of what is no block */

void ring_begin(struct ring *ring, int fd, uint32_t depth, uint32_t timeout_ms)
{
    memset(ring, 0, sizeof(*ring));
    ring->fd = fd;
    ring->depth = depth < RING_DEPTH_MAX ? depth : RING_DEPTH_MAX;
    ring->timeout_ms = timeout_ms;
    ring->is_uring = io_uring_queue_init(ring->depth, &ring->uring, 0) == 0;
}

static bool fail(struct ring *ring, int error)
{
    ring->error = ring->error != 0 ? ring->error : error;
    return false;
}

static void submit(struct ring *ring, struct ring_block *block)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring); /* there are as many as blocks */
    if (block->is_read) {
        io_uring_prep_read(sqe, ring->fd, block->at, (unsigned)block->left, block->offset);
    } else {
        io_uring_prep_write(sqe, ring->fd, block->at, (unsigned)block->left, block->offset);
    }
    io_uring_sqe_set_data64(sqe, (uint64_t)(block - ring->blocks));
    int submitted = io_uring_submit(&ring->uring);
    if (submitted < 0) {
        block->is_busy = false;
        (void)fail(ring, -submitted);
    }
}

/* What a block's turn has come to; one that is not complete goes on. True: it goes on. */
static bool advance(struct ring *ring, struct ring_block *block, ssize_t done)
{
    if (done == -EINTR || done == -EAGAIN) {
        return true;
    }
    if (done <= 0) {
        (void)fail(ring, done < 0 ? (int)-done : block->is_read ? ENODATA : EIO);
        block->is_busy = false;
        return false;
    }
    block->at += done;
    block->left -= (size_t)done;
    block->offset += (uint64_t)done;
    block->is_busy = block->left > 0;
    return block->is_busy;
}

/* Waits for one completion. False: none came in time. */
static bool take(struct ring *ring, uint64_t *data_out, int *result_out)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec time = {.tv_sec = ring->timeout_ms / 1000,
                                     .tv_nsec = (long long)(ring->timeout_ms % 1000) * 1000000};
    int got;
    do {
        got = io_uring_wait_cqe_timeout(&ring->uring, &cqe, &time);
    } while (got == -EINTR);
    if (got < 0) {
        return fail(ring, got == -ETIME ? ETIMEDOUT : -got);
    }
    *data_out = io_uring_cqe_get_data64(cqe);
    *result_out = cqe->res;
    io_uring_cqe_seen(&ring->uring, cqe);
    return true;
}

static bool reap(struct ring *ring)
{
    uint64_t data;
    int result;
    if (!take(ring, &data, &result)) {
        return false;
    }
    if (data < ring->depth && advance(ring, &ring->blocks[data], result)) {
        submit(ring, &ring->blocks[data]);
    }
    return true;
}

bool ring_block(struct ring *ring, struct ring_block **block_out)
{
    while (ring->error == 0) {
        for (uint32_t i = 0; i < ring->depth; i++) {
            if (!ring->blocks[i].is_busy) {
                *block_out = &ring->blocks[i];
                return true;
            }
        }
        (void)reap(ring);
    }
    return false;
}

bool ring_own(struct ring *ring, struct ring_block *block)
{
    if (block->own == NULL) {
        block->own = aligned_alloc(RING_ALIGN, RING_BLOCK_BYTES);
    }
    return block->own != NULL || fail(ring, ENOMEM);
}

bool ring_go(struct ring *ring, struct ring_block *block, bool is_read, void *data, size_t bytes,
             uint64_t offset)
{
    block->at = data;
    block->left = bytes;
    block->offset = offset;
    block->is_read = is_read;
    block->is_busy = true;
    if (ring->is_uring) {
        submit(ring, block);
        return ring->error == 0;
    }
    ssize_t done;
    do {
        done = is_read ? pread(ring->fd, block->at, block->left, (off_t)block->offset)
                       : pwrite(ring->fd, block->at, block->left, (off_t)block->offset);
    } while (advance(ring, block, done < 0 ? -errno : done));
    return ring->error == 0;
}

static bool is_idle(const struct ring *ring)
{
    bool idle = true;
    for (uint32_t i = 0; i < ring->depth; i++) {
        idle = idle && !ring->blocks[i].is_busy;
    }
    return idle;
}

bool ring_wait(struct ring *ring)
{
    while (!is_idle(ring) && ring->error != ETIMEDOUT && reap(ring)) {
    }
    return ring->error == 0;
}

bool ring_sync(struct ring *ring)
{
    uint64_t data = 0;
    int result = 0;
    if (!ring_wait(ring)) {
        return false;
    }
    if (!ring->is_uring) {
        return fsync(ring->fd) == 0 || fail(ring, errno);
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    io_uring_prep_fsync(sqe, ring->fd, 0);
    io_uring_sqe_set_data64(sqe, SYNC_MARK);
    int submitted = io_uring_submit(&ring->uring);
    if (submitted < 0) {
        return fail(ring, -submitted);
    }
    if (!take(ring, &data, &result)) {
        return false;
    }
    return result == 0 || fail(ring, -result);
}

void ring_end(struct ring *ring)
{
    (void)ring_wait(ring);
    for (uint32_t i = 0; i < ring->depth; i++) {
        if (!ring->blocks[i].is_busy) { /* what hangs may still be read by the kernel */
            free(ring->blocks[i].own);
        }
    }
    if (ring->is_uring) {
        io_uring_queue_exit(&ring->uring);
    }
}
