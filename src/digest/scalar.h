/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: one leaf, one parent. */
#ifndef CKPT_DIGEST_SCALAR_H
#define CKPT_DIGEST_SCALAR_H

#include <stddef.h>
#include <stdint.h>

/* The chaining value of one parent of two chaining values, 64 bytes at pair; flags is 0 or
 * BLAKE3_ROOT. cv_out may be pair. */
void digest_scalar_parent(const uint8_t *pair, uint32_t flags, uint8_t *cv_out);

/* The chaining value of one leaf of 0 to 1024 bytes; flags is 0 or BLAKE3_ROOT. */
void digest_scalar_leaf(const uint8_t *data, size_t bytes, uint64_t leaf_index, uint32_t flags,
                        uint8_t *cv_out);

#endif
