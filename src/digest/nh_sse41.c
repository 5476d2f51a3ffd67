/* SPDX-License-Identifier: Apache-2.0 */
/* One unit at a time. */
#include <immintrin.h>
#include <stdint.h>

#define NH_ENGINE nh_sse41
#define VECTOR_BYTES 16

typedef __m128i vector;

#define load_words(from) _mm_loadu_si128((const __m128i *)(const void *)(from))
#define unit_order(words) _mm_shuffle_epi32(words, _MM_SHUFFLE(3, 1, 2, 0))
#define add_words(a, b) _mm_add_epi32(a, b)
#define add_sums(a, b) _mm_add_epi64(a, b)
#define multiply(a, b) _mm_mul_epu32(a, b)
#define high_halves(words) _mm_srli_epi64(words, 32)
#define zero_sums() _mm_setzero_si128()

/* The sums of both lanes of each pass. */
static inline void store_hash(uint8_t *hash_out, const vector sums[4])
{
    __m128i *out = (__m128i *)(void *)hash_out;

    _mm_storeu_si128(
        out, add_sums(_mm_unpacklo_epi64(sums[0], sums[1]), _mm_unpackhi_epi64(sums[0], sums[1])));
    _mm_storeu_si128(out + 1, add_sums(_mm_unpacklo_epi64(sums[2], sums[3]),
                                       _mm_unpackhi_epi64(sums[2], sums[3])));
}

#include "digest/nh_lanes.h"
