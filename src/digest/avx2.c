/* SPDX-License-Identifier: Apache-2.0 */
/* Eight lanes of AVX2. */
#include <immintrin.h>

#include "digest/engine.h"

#define LANES 8
#define NARROWER digest_engine_sse41

typedef __m256i vector;

#define add_words(a, b) _mm256_add_epi32(a, b)
#define xor_words(a, b) _mm256_xor_si256(a, b)
#define broadcast(word) _mm256_set1_epi32((int)(word))

/* Sixteen registers hold the sixteen words of state and nothing else. So the message words and the
 * masks are operands in memory, which the compiler must not keep in registers, and one word of
 * state, v8, is put away while the rotations need a register. */
static inline __attribute__((always_inline)) vector add_message_at(vector a, const vector *word)
{
    __asm__("vpaddd %1, %0, %0" : "+x"(a) : "m"(*word));
    return a;
}

static inline __attribute__((always_inline)) vector shuffle_bytes(vector a, const vector *mask)
{
    __asm__("vpshufb %1, %0, %0" : "+x"(a) : "m"(*mask));
    return a;
}

#define add_message(a, word) add_message_at(a, &(word))
#define HOLD(word) __asm__("" : "+m"(word))

/* By whole bytes a rotation is one shuffle. */
static const union {
    uint8_t bytes[2][32];
    vector masks[2];
} rotations = {{{2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
                 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13},
                {1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12,
                 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12}}};
#define rotate16(a) shuffle_bytes(a, &rotations.masks[0])
#define rotate8(a) shuffle_bytes(a, &rotations.masks[1])
#define rotate12(a) _mm256_or_si256(_mm256_srli_epi32(a, 12), _mm256_slli_epi32(a, 20))
#define rotate7(a) _mm256_or_si256(_mm256_srli_epi32(a, 7), _mm256_slli_epi32(a, 25))

static inline vector counters(uint64_t first, bool high)
{
    uint32_t words[LANES];

    for (unsigned i = 0; i < LANES; i++) {
        words[i] = (uint32_t)((first + i) >> (high ? 32 : 0));
    }
    return _mm256_loadu_si256((const void *)words);
}

/* Rows 0 to 3 hold four words of lanes 0 to 3 in their low halves, of lanes 4 to 7 in their high
 * ones; afterwards row i holds word i of all eight. */
static inline void transpose(vector *r0, vector *r1, vector *r2, vector *r3)
{
    vector low01 = _mm256_unpacklo_epi32(*r0, *r1), high01 = _mm256_unpackhi_epi32(*r0, *r1);
    vector low23 = _mm256_unpacklo_epi32(*r2, *r3), high23 = _mm256_unpackhi_epi32(*r2, *r3);

    *r0 = _mm256_unpacklo_epi64(low01, low23);
    *r1 = _mm256_unpackhi_epi64(low01, low23);
    *r2 = _mm256_unpacklo_epi64(high01, high23);
    *r3 = _mm256_unpackhi_epi64(high01, high23);
}

/* The pairing of lanes i and i + 4 is done by the load, which is cheaper than a shuffle across the
 * halves of a register. */
static inline vector load_pair(const uint8_t *low, const uint8_t *high)
{
    vector row = _mm256_castsi128_si256(_mm_loadu_si128((const void *)low));

    return _mm256_inserti128_si256(row, _mm_loadu_si128((const void *)high), 1);
}

static inline void load_block(const uint8_t *at, size_t stride, vector m[16])
{
    for (size_t i = 0; i < 16; i += 4) {
        for (size_t j = 0; j < 4; j++) {
            m[i + j] = load_pair(at + j * stride + 4 * i, at + (j + 4) * stride + 4 * i);
        }
        transpose(&m[i], &m[i + 1], &m[i + 2], &m[i + 3]);
    }
}

/* Without registers to spare the next block is loaded at once,
 * when the rounds have used this one. */
#define LOAD_STEPS 28
struct loader {
    char unused;
};

static inline void load_step(struct loader *loader, const uint8_t *at, size_t stride, vector m[16],
                             unsigned step)
{
    (void)loader;
    if (step == LOAD_STEPS - 1) {
        load_block(at, stride, m);
    }
}

static inline void store_cvs(vector cv[8], uint8_t *cvs_out)
{
    transpose(&cv[0], &cv[1], &cv[2], &cv[3]);
    transpose(&cv[4], &cv[5], &cv[6], &cv[7]);
    for (size_t i = 0; i < 4; i++) {
        vector low = _mm256_permute2x128_si256(cv[i], cv[i + 4], 0x20);
        vector high = _mm256_permute2x128_si256(cv[i], cv[i + 4], 0x31);

        _mm256_storeu_si256((void *)(cvs_out + i * DIGEST_CV_BYTES), low);
        _mm256_storeu_si256((void *)(cvs_out + (i + 4) * DIGEST_CV_BYTES), high);
    }
}

#include "digest/lanes.h"

static bool supported(void)
{
    return __builtin_cpu_supports("avx2");
}

const struct digest_engine digest_engine_avx2 = {
    .name = "avx2",
    .supported = supported,
    .leaves = leaves,
    .parents = parents,
    .nh = nh_avx2,
    .sixteen = poly1305_avx2,
};
