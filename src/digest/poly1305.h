/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305's polynomial, without its final addition (RFC 8439, section 2.5): over blocks c_1 to c_n
 * of 16 bytes, each with a bit set above it, c_1 r^n + ... + c_n r modulo 2^130 - 5. */
#ifndef CKPT_DIGEST_POLY1305_H
#define CKPT_DIGEST_POLY1305_H

#include <stddef.h>
#include <stdint.h>

#define POLY1305_BLOCK_BYTES 16

#define POLY1305_POWERS 16
#define POLY1305_LANES 4
#define POLY1305_GROUPS (POLY1305_POWERS / POLY1305_LANES)

struct poly1305_key {
    /* r to r^16, each in limbs of 44, 44 and 42 bits, then the second and the third times 20: what
     * they are where a product wraps around. */
    uint64_t powers[POLY1305_POWERS][5];
    /* The same for vectors: r^16 to r^13 in the first group, in the order of lane_order, in limbs
     * of 26 bits, then the second to the fifth times 5. */
    uint64_t lanes[POLY1305_GROUPS][9][POLY1305_LANES];
};

/* Which of four blocks that lie one after the other is in which lane, once two vectors of two
 * blocks each are unpacked into lower and upper halves. */
static const uint8_t poly1305_lane_order[POLY1305_LANES] = {0, 2, 1, 3};

/* The bits of r that must be clear are cleared first. */
void poly1305_key_make(const uint8_t r[16], struct poly1305_key *key_out);

/* The sum of 16 blocks, each with the bit above it and times its power of r, in limbs of 26 bits
 * that were never carried, each below 2^62. */
typedef void poly1305_sixteen(const struct poly1305_key *key, const uint8_t *blocks,
                              uint64_t limbs_out[5]);
poly1305_sixteen poly1305_avx2;

/* Takes count blocks into the sum, which begins as zeros. sixteen is NULL where no vectors help. */
void poly1305_blocks(uint64_t sum[3], const struct poly1305_key *key, poly1305_sixteen *sixteen,
                     const uint8_t *blocks, size_t count);

/* The sum modulo 2^128, little-endian. */
void poly1305_emit(const uint64_t sum[3], uint8_t value_out[16]);

#endif
