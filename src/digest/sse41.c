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

/* Sixteen registers hold the sixteen words of state and nothing else. So the message words and the
 * masks are operands in memory, which the compiler must not keep in registers, and one word of
 * state, v8, is put away while the rotations need a register. */
static inline __attribute__((always_inline)) vector add_message_at(vector a, const vector *word)
{
    __asm__("paddd %1, %0" : "+x"(a) : "m"(*word));
    return a;
}

static inline __attribute__((always_inline)) vector shuffle_bytes(vector a, const vector *mask)
{
    __asm__("pshufb %1, %0" : "+x"(a) : "m"(*mask));
    return a;
}

#define add_message(a, word) add_message_at(a, &(word))
#define HOLD(word) __asm__("" : "+m"(word))

/* By whole bytes a rotation is one shuffle. */
static const union {
    uint8_t bytes[2][16];
    vector masks[2];
} rotations = {{{2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13},
                {1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12}}};
#define rotate16(a) shuffle_bytes(a, &rotations.masks[0])
#define rotate8(a) shuffle_bytes(a, &rotations.masks[1])
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
    .nh = nh_sse41,
};
