/* SPDX-License-Identifier: Apache-2.0 */
/* Four units at a time. */
#include <immintrin.h>
#include <stdint.h>

#define NH_ENGINE nh_avx512
#define VECTOR_BYTES 64

typedef __m512i vector;

#define load_words(from) _mm512_loadu_si512(from)
#define unit_order(words) _mm512_shuffle_epi32(words, _MM_PERM_DBCA)
#define add_words(a, b) _mm512_add_epi32(a, b)
#define add_sums(a, b) _mm512_add_epi64(a, b)
#define multiply(a, b) _mm512_mul_epu32(a, b)
#define high_halves(words) _mm512_srli_epi64(words, 32)
#define zero_sums() _mm512_setzero_si512()

/* The sums of the lanes of each pass: pairs of passes beside each other, then quarters of the
 * vector in two steps. */
static inline void store_hash(uint8_t *hash_out, const vector sums[4])
{
    vector pair01 =
        add_sums(_mm512_unpacklo_epi64(sums[0], sums[1]), _mm512_unpackhi_epi64(sums[0], sums[1]));
    vector pair23 =
        add_sums(_mm512_unpacklo_epi64(sums[2], sums[3]), _mm512_unpackhi_epi64(sums[2], sums[3]));
    vector four = add_sums(_mm512_shuffle_i64x2(pair01, pair23, 0x44),
                           _mm512_shuffle_i64x2(pair01, pair23, 0xee));
    vector hash = add_sums(four, _mm512_shuffle_i64x2(four, four, 0xb1));

    /* Quarters 0 and 2: passes 0 and 1, passes 2 and 3. */
    hash = _mm512_shuffle_i64x2(hash, hash, 0x08);
    _mm256_storeu_si256((__m256i *)(void *)hash_out, _mm512_castsi512_si256(hash));
}

#include "digest/nh_lanes.h"
