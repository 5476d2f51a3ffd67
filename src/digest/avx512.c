/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen lanes of AVX-512. The sixteen words of state and the sixteen of message are exactly the
 * thirty-two registers, and a rotation is one instruction, so nothing is spilled. */
#include <immintrin.h>

#include "digest/engine.h"

#define LANES 16
#define NARROWER digest_engine_avx2

typedef __m512i vector;

#define add_words(a, b) _mm512_add_epi32(a, b)
#define xor_words(a, b) _mm512_xor_si512(a, b)
#define broadcast(word) _mm512_set1_epi32((int)(word))
#define rotate16(a) _mm512_ror_epi32(a, 16)
#define rotate12(a) _mm512_ror_epi32(a, 12)
#define rotate8(a) _mm512_ror_epi32(a, 8)
#define rotate7(a) _mm512_ror_epi32(a, 7)

static inline vector counters(uint64_t first, bool high)
{
    uint32_t words[LANES];

    for (unsigned i = 0; i < LANES; i++) {
        words[i] = (uint32_t)((first + i) >> (high ? 32 : 0));
    }
    return _mm512_loadu_si512(words);
}

/* Transposes within each quarter of the registers: four rows of four words. */
static inline void transpose_words(vector *r0, vector *r1, vector *r2, vector *r3)
{
    vector low01 = _mm512_unpacklo_epi32(*r0, *r1), high01 = _mm512_unpackhi_epi32(*r0, *r1);
    vector low23 = _mm512_unpacklo_epi32(*r2, *r3), high23 = _mm512_unpackhi_epi32(*r2, *r3);

    *r0 = _mm512_unpacklo_epi64(low01, low23);
    *r1 = _mm512_unpackhi_epi64(low01, low23);
    *r2 = _mm512_unpacklo_epi64(high01, high23);
    *r3 = _mm512_unpackhi_epi64(high01, high23);
}

/* Transposes the quarters: afterwards row i holds quarter i of the four. */
static inline void transpose_quarters(vector *r0, vector *r1, vector *r2, vector *r3)
{
    vector low01 = _mm512_shuffle_i32x4(*r0, *r1, 0x44);
    vector high01 = _mm512_shuffle_i32x4(*r0, *r1, 0xee);
    vector low23 = _mm512_shuffle_i32x4(*r2, *r3, 0x44);
    vector high23 = _mm512_shuffle_i32x4(*r2, *r3, 0xee);

    *r0 = _mm512_shuffle_i32x4(low01, low23, 0x88);
    *r1 = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    *r2 = _mm512_shuffle_i32x4(high01, high23, 0x88);
    *r3 = _mm512_shuffle_i32x4(high01, high23, 0xdd);
}

static inline void load_block(const uint8_t *at, size_t stride, vector m[16])
{
    vector row[16];

    /* Row 4 j + i is lane 4 i + j, so that the quarters come out in the order of the lanes. */
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            row[4 * j + i] = _mm512_loadu_si512(at + (4 * i + j) * stride);
        }
    }
    /* Now row 4 j + i becomes words 4 i to 4 i + 3 of lanes j, 4 + j, 8 + j and 12 + j. */
    for (size_t j = 0; j < 16; j += 4) {
        transpose_quarters(&row[j], &row[j + 1], &row[j + 2], &row[j + 3]);
    }
    for (size_t i = 0; i < 4; i++) {
        transpose_words(&row[i], &row[4 + i], &row[8 + i], &row[12 + i]);
        m[4 * i] = row[i];
        m[4 * i + 1] = row[4 + i];
        m[4 * i + 2] = row[8 + i];
        m[4 * i + 3] = row[12 + i];
    }
}

static inline void store_cvs(vector cv[8], uint8_t *cvs_out)
{
    transpose_words(&cv[0], &cv[1], &cv[2], &cv[3]);
    transpose_words(&cv[4], &cv[5], &cv[6], &cv[7]);
    /* Now quarter i of cv[j] is the first half of lane 4 i + j, of cv[4 + j] the second. */
    transpose_quarters(&cv[0], &cv[4], &cv[1], &cv[5]);
    transpose_quarters(&cv[2], &cv[6], &cv[3], &cv[7]);
    /* Now those registers are lanes 4 i and 4 i + 1, and lanes 4 i + 2 and 4 i + 3. */
    _mm512_storeu_si512(cvs_out, cv[0]);
    _mm512_storeu_si512(cvs_out + 64, cv[2]);
    _mm512_storeu_si512(cvs_out + 128, cv[4]);
    _mm512_storeu_si512(cvs_out + 192, cv[6]);
    _mm512_storeu_si512(cvs_out + 256, cv[1]);
    _mm512_storeu_si512(cvs_out + 320, cv[3]);
    _mm512_storeu_si512(cvs_out + 384, cv[5]);
    _mm512_storeu_si512(cvs_out + 448, cv[7]);
}

#include "digest/lanes.h"

/* The narrower engines are part of this one. */
static bool supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx2");
}

const struct digest_engine digest_engine_avx512 = {
    .name = "avx512",
    .supported = supported,
    .leaves = leaves,
    .parents = parents,
};
