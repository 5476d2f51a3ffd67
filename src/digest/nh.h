/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NH, inside the room. A message is 64 units of four 32-bit words m0..m3, little-endian. Pass p
 * adds the key's words of unit u + p to unit u, modulo 2^32, and sums up, modulo 2^64,
 *
 *     (m0 + k0) * (m2 + k2) + (m1 + k1) * (m3 + k3)
 *
 * over all units. The four sums, little-endian, are the hash of the message.
 *
 * A vector multiplication takes the lower halves of each 64 bits. With the words of a unit in the
 * order 0, 2, 1, 3 the factors of both products lie beside each other, so that one shift by 32 bits
 * pairs them. A message is brought into that order once for all four passes, the key when it is
 * derived.
 */
#ifndef CKPT_DIGEST_NH_H
#define CKPT_DIGEST_NH_H

#include <stddef.h>
#include <stdint.h>

#define NH_MESSAGE_BYTES 1024
#define NH_UNIT_BYTES 16
#define NH_UNIT_WORDS 4
#define NH_PASSES 4
#define NH_HASH_BYTES 32

/* The hashes of count whole messages that lie one after the other, 32 bytes each. */
typedef void nh_messages(const uint32_t *words, const uint8_t *data, size_t count,
                         uint8_t *hashes_out);

nh_messages nh_scalar;
nh_messages nh_sse41;
nh_messages nh_avx2;
nh_messages nh_avx512;
nh_messages nh_neon;

#endif
