/* SPDX-License-Identifier: Apache-2.0 */
/* The constants of BLAKE3, for the engines and for the kernels: nothing but macros, for C and CUDA.
 * Sections are those of the paper that digest.h names. */
#ifndef CKPT_DIGEST_BLAKE3_H
#define CKPT_DIGEST_BLAKE3_H

#define BLAKE3_BLOCK_BYTES 64
#define BLAKE3_LEAF_BYTES 1024
#define BLAKE3_LEAF_BLOCKS 16

/* Section 2.1: the flags of a compression. */
#define BLAKE3_CHUNK_START 1u
#define BLAKE3_CHUNK_END 2u
#define BLAKE3_PARENT 4u
#define BLAKE3_ROOT 8u
#define BLAKE3_DERIVE_KEY_CONTEXT 32u
#define BLAKE3_DERIVE_KEY_MATERIAL 64u

/* Section 2.1, table 1: the key words of the plain hash, those of SHA-256. */
#define BLAKE3_IV0 0x6a09e667u
#define BLAKE3_IV1 0xbb67ae85u
#define BLAKE3_IV2 0x3c6ef372u
#define BLAKE3_IV3 0xa54ff53au
#define BLAKE3_IV4 0x510e527fu
#define BLAKE3_IV5 0x9b05688cu
#define BLAKE3_IV6 0x1f83d9abu
#define BLAKE3_IV7 0x5be0cd19u

/* The seven rounds of section 2.2, with the permutation of the message words (table 2) applied to
 * the indices beforehand: ROUND(s0..s15) mixes columns with the first eight, diagonals with the
 * rest. */
#define BLAKE3_ROUNDS(ROUND)                                                                       \
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)                                    \
    ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)                                    \
    ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1)                                    \
    ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6)                                    \
    ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4)                                    \
    ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7)                                    \
    ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13)

#endif
