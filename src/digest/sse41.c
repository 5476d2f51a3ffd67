/* SPDX-License-Identifier: Apache-2.0 */
/* Four lanes of SSE4.1. */
#include <smmintrin.h>

#include "digest/engine.h"

#define LANES 4
#define NARROWER digest_engine_scalar

typedef __m128i vector;

#define add_words(a, b) _mm_add_epi32(a, b)
#define xor_words(a, b) _mm_xor_si128(a, b)
#define broadcast(word) _mm_set1_epi32((int)(word))

/* By whole bytes a rotation is one shuffle. */
#define rotate16(a)                                                                                \
    _mm_shuffle_epi8(a, _mm_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2))
#define rotate8(a)                                                                                 \
    _mm_shuffle_epi8(a, _mm_set_epi8(12, 15, 14, 13, 8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1))
#define rotate12(a) _mm_or_si128(_mm_srli_epi32(a, 12), _mm_slli_epi32(a, 20))
#define rotate7(a) _mm_or_si128(_mm_srli_epi32(a, 7), _mm_slli_epi32(a, 25))

static inline vector counters(uint64_t first, bool high)
{
    unsigned shift = high ? 32 : 0;

    return _mm_setr_epi32((int)(uint32_t)(first >> shift), (int)(uint32_t)((first + 1) >> shift),
                          (int)(uint32_t)((first + 2) >> shift),
                          (int)(uint32_t)((first + 3) >> shift));
}

/* Transposes four rows of four words in place. */
static inline void transpose(vector *r0, vector *r1, vector *r2, vector *r3)
{
    vector low01 = _mm_unpacklo_epi32(*r0, *r1), high01 = _mm_unpackhi_epi32(*r0, *r1);
    vector low23 = _mm_unpacklo_epi32(*r2, *r3), high23 = _mm_unpackhi_epi32(*r2, *r3);

    *r0 = _mm_unpacklo_epi64(low01, low23);
    *r1 = _mm_unpackhi_epi64(low01, low23);
    *r2 = _mm_unpacklo_epi64(high01, high23);
    *r3 = _mm_unpackhi_epi64(high01, high23);
}

static inline void load_block(const uint8_t *at, size_t stride, vector m[16])
{
    for (size_t i = 0; i < 16; i += 4) {
        m[i] = _mm_loadu_si128((const void *)(at + 4 * i));
        m[i + 1] = _mm_loadu_si128((const void *)(at + stride + 4 * i));
        m[i + 2] = _mm_loadu_si128((const void *)(at + 2 * stride + 4 * i));
        m[i + 3] = _mm_loadu_si128((const void *)(at + 3 * stride + 4 * i));
        transpose(&m[i], &m[i + 1], &m[i + 2], &m[i + 3]);
    }
}

static inline void store_cvs(vector cv[8], uint8_t *cvs_out)
{
    transpose(&cv[0], &cv[1], &cv[2], &cv[3]);
    transpose(&cv[4], &cv[5], &cv[6], &cv[7]);
    for (size_t i = 0; i < LANES; i++) {
        _mm_storeu_si128((void *)(cvs_out + i * DIGEST_CV_BYTES), cv[i]);
        _mm_storeu_si128((void *)(cvs_out + i * DIGEST_CV_BYTES + 16), cv[4 + i]);
    }
}

#include "digest/lanes.h"

static bool supported(void)
{
    return __builtin_cpu_supports("sse4.1");
}

const struct digest_engine digest_engine_sse41 = {
    .name = "sse41",
    .supported = supported,
    .leaves = leaves,
    .parents = parents,
};
