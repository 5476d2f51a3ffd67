/* SPDX-License-Identifier: Apache-2.0 */
/* Four blocks in four lanes, five limbs of 26 bits each. Products are below 2^55, and twenty of
 * them are added before anybody carries. */
#include <immintrin.h>

#include "digest/poly1305.h"

#define LIMBS 5
#define MASK 0x3ffffff

/* The limbs of four blocks, and the bit above each. */
static inline void split(const uint8_t *blocks, __m256i limbs_out[LIMBS])
{
    __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)blocks);
    __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(blocks + 32));
    __m256i low = _mm256_unpacklo_epi64(first, second);
    __m256i high = _mm256_unpackhi_epi64(first, second);
    __m256i mask = _mm256_set1_epi64x(MASK);

    limbs_out[0] = _mm256_and_si256(low, mask);
    limbs_out[1] = _mm256_and_si256(_mm256_srli_epi64(low, 26), mask);
    limbs_out[2] = _mm256_and_si256(
        _mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12)), mask);
    limbs_out[3] = _mm256_and_si256(_mm256_srli_epi64(high, 14), mask);
    limbs_out[4] = _mm256_or_si256(_mm256_srli_epi64(high, 40), _mm256_set1_epi64x(1 << 24));
}

/* r is r[0] to r[4], then r[1] to r[4] times 5. */
static inline void add_products(__m256i sums[LIMBS], const __m256i limbs[LIMBS],
                                const uint64_t r[9][POLY1305_LANES])
{
#pragma GCC unroll 5
    for (size_t i = 0; i < LIMBS; i++) {
#pragma GCC unroll 5
        for (size_t j = 0; j < LIMBS; j++) {
            const uint64_t *factor = i + j < LIMBS ? r[j] : r[4 + j];
            __m256i power = _mm256_loadu_si256((const __m256i *)(const void *)factor);
            size_t to = i + j < LIMBS ? i + j : i + j - LIMBS;

            sums[to] = _mm256_add_epi64(sums[to], _mm256_mul_epu32(limbs[i], power));
        }
    }
}

static inline uint64_t sum_of_lanes(__m256i lanes)
{
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));

    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)));
}

void poly1305_avx2(const struct poly1305_key *key, const uint8_t *blocks, uint64_t limbs_out[LIMBS])
{
    __m256i sums[LIMBS];

    for (size_t i = 0; i < LIMBS; i++) {
        sums[i] = _mm256_setzero_si256();
    }
    for (size_t group = 0; group < POLY1305_GROUPS; group++) {
        __m256i limbs[LIMBS];

        split(blocks + group * POLY1305_LANES * POLY1305_BLOCK_BYTES, limbs);
        add_products(sums, limbs, key->lanes[group]);
    }
    for (size_t i = 0; i < LIMBS; i++) {
        limbs_out[i] = sum_of_lanes(sums[i]);
    }
}
