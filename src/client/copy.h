/* SPDX-License-Identifier: Apache-2.0 */
/* Copies tensors into a slot: the stall of a save.
 *
 * The bytes of all pieces together are cut into blocks, and every thread takes the next block until
 * none is left, so that one huge tensor is shared as well as many small ones are. Long runs are
 * written past the caches, as the writer does not read them again: docs/c-api.md has the numbers.
 *
 * No allocation, lock or system call between the first byte and the last. */
#ifndef CKPT_CLIENT_COPY_H
#define CKPT_CLIENT_COPY_H

#include <stddef.h>
#include <stdint.h>

#define COPY_THREADS_MAX 256

struct copy_piece {
    uint64_t offset; /* in the slot */
    const uint8_t *from;
    uint64_t bytes;
    uint64_t before; /* the bytes of all pieces before this one */
};

/* Copies all pieces into the slot at `to` with up to `threads` threads, the caller's among them;
 * the others are started with all signals blocked and have ended when it returns. Where no thread
 * can be started the caller's copies alone. Blocks for as long as it takes. */
void copy_pieces(uint8_t *to, const struct copy_piece *pieces, size_t count, uint32_t threads);

#endif
