/* SPDX-License-Identifier: Apache-2.0 */
/* Two units at a time. */
#include <immintrin.h>
#include <stdint.h>

#define NH_ENGINE nh_avx2
#define VECTOR_BYTES 32

typedef __m256i vector;

#define load_words(from) _mm256_loadu_si256((const __m256i *)(const void *)(from))
#define unit_order(words) _mm256_shuffle_epi32(words, _MM_SHUFFLE(3, 1, 2, 0))
#define add_words(a, b) _mm256_add_epi32(a, b)
#define add_sums(a, b) _mm256_add_epi64(a, b)
#define multiply(a, b) _mm256_mul_epu32(a, b)
#define high_halves(words) _mm256_srli_epi64(words, 32)
#define zero_sums() _mm256_setzero_si256()

/* The sums of the lanes of each pass: pairs of passes beside each other, then the halves. */
static inline void store_hash(uint8_t *hash_out, const vector sums[4])
{
    vector pair01 =
        add_sums(_mm256_unpacklo_epi64(sums[0], sums[1]), _mm256_unpackhi_epi64(sums[0], sums[1]));
    vector pair23 =
        add_sums(_mm256_unpacklo_epi64(sums[2], sums[3]), _mm256_unpackhi_epi64(sums[2], sums[3]));
    vector hash = add_sums(_mm256_permute2x128_si256(pair01, pair23, 0x20),
                           _mm256_permute2x128_si256(pair01, pair23, 0x31));

    _mm256_storeu_si256((__m256i *)(void *)hash_out, hash);
}

#include "digest/nh_lanes.h"
