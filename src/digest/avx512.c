/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen lanes of AVX-512. A rotation is one instruction. Sixteen of the thirty-two registers hold
 * the state, the message words are operands in memory, and the other sixteen are for the
 * transposing of the next block, which goes on between the rounds. */
#include <immintrin.h>

#include "digest/engine.h"

#define LANES 16
#define NARROWER digest_engine_avx2

typedef __m512i vector;

#define add_words(a, b) _mm512_add_epi32(a, b)
#define xor_words(a, b) _mm512_xor_si512(a, b)
#define broadcast(word) _mm512_set1_epi32((int)(word))
#define HOLD(word) (void)0
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

/* The message words stay in memory: the compiler must not load them into the registers that the
 * next block needs. */
static inline __attribute__((always_inline)) vector add_message_at(vector a, const vector *word)
{
    __asm__("vpaddd %1, %0, %0" : "+v"(a) : "m"(*word));
    return a;
}

#define add_message(a, word) add_message_at(a, &(word))

/* Half of a block, eight words of each lane, is in eight rows. */
#define LOAD_STEPS 28
struct loader {
    vector rows[8];
};

/* Row i is the words of lane i and lane i + 4, rows from 4 on of lane i + 4 and i + 8. The load
 * pairs them, which takes less of the busy shuffle units than a shuffle would. */
static inline vector load_row(const uint8_t *at, size_t stride, unsigned i)
{
    const uint8_t *low = at + (i < 4 ? i : i + 4) * stride;
    __m256i first = _mm256_loadu_si256((const void *)low);
    __m256i second = _mm256_loadu_si256((const void *)(low + 4 * stride));

    return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

static inline void interleave_words(vector *r0, vector *r1)
{
    vector low = _mm512_unpacklo_epi32(*r0, *r1);

    *r1 = _mm512_unpackhi_epi32(*r0, *r1);
    *r0 = low;
}

static inline void interleave_pairs(vector *r0, vector *r1)
{
    vector low = _mm512_unpacklo_epi64(*r0, *r1);

    *r1 = _mm512_unpackhi_epi64(*r0, *r1);
    *r0 = low;
}

/* Row i of lanes 0 to 7 and row i + 4 of lanes 8 to 15 hold one word of the low half of each lane
 * in their even quarters, and the word four further on in their odd ones. */
static inline void join_lanes(const vector rows[8], unsigned i, vector *word)
{
    word[0] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    word[4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
}

static inline __attribute__((always_inline)) void
load_step(struct loader *loader, const uint8_t *at, size_t stride, vector m[16], unsigned step)
{
    vector *rows = loader->rows;
    unsigned half = step / 14;
    unsigned phase = step % 14;
    unsigned i = phase < 6 ? 0 : 4; /* the first row of those that this step is about */

    at += 32 * half;
    m += 8 * half;
    switch (phase) {
    case 0:
    case 6:
        rows[i] = load_row(at, stride, i);
        rows[i + 1] = load_row(at, stride, i + 1);
        break;
    case 1:
    case 7:
        rows[i + 2] = load_row(at, stride, i + 2);
        rows[i + 3] = load_row(at, stride, i + 3);
        break;
    case 2:
    case 8:
        interleave_words(&rows[i], &rows[i + 1]);
        break;
    case 3:
    case 9:
        interleave_words(&rows[i + 2], &rows[i + 3]);
        break;
    case 4:
    case 10:
        interleave_pairs(&rows[i], &rows[i + 2]);
        break;
    case 5:
    case 11:
        interleave_pairs(&rows[i + 1], &rows[i + 3]);
        break;
    case 12:
        /* The interleaving left word 1 in row 2, and word 2 in row 1. */
        join_lanes(rows, 0, &m[0]);
        join_lanes(rows, 2, &m[1]);
        break;
    default:
        join_lanes(rows, 1, &m[2]);
        join_lanes(rows, 3, &m[3]);
        break;
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
    .nh = nh_avx512,
    .sixteen = poly1305_avx2,
};
