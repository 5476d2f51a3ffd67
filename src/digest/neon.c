/* SPDX-License-Identifier: Apache-2.0 */
/* Four lanes of NEON. Every arm64 CPU has it. */
#include <arm_neon.h>

#include "digest/engine.h"

#define LANES 4
#define NARROWER digest_engine_scalar

typedef uint32x4_t vector;

#define add_words(a, b) vaddq_u32(a, b)
#define xor_words(a, b) veorq_u32(a, b)
#define add_message(a, word) add_words(a, word)
#define HOLD(word) (void)0
#define broadcast(word) vdupq_n_u32(word)

/* Shift and insert is one instruction, so a rotation is two; by 16 it is a swap of halves. */
#define rotate16(a) vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(a)))
#define rotate12(a) vsriq_n_u32(vshlq_n_u32(a, 20), a, 12)
#define rotate8(a) vsriq_n_u32(vshlq_n_u32(a, 24), a, 8)
#define rotate7(a) vsriq_n_u32(vshlq_n_u32(a, 25), a, 7)

static inline vector counters(uint64_t first, bool high)
{
    uint32_t words[LANES];

    for (unsigned i = 0; i < LANES; i++) {
        words[i] = (uint32_t)((first + i) >> (high ? 32 : 0));
    }
    return vld1q_u32(words);
}

/* Transposes four rows of four words in place. */
static inline void transpose(vector *r0, vector *r1, vector *r2, vector *r3)
{
    uint32x4x2_t rows01 = vtrnq_u32(*r0, *r1), rows23 = vtrnq_u32(*r2, *r3);

    *r0 = vcombine_u32(vget_low_u32(rows01.val[0]), vget_low_u32(rows23.val[0]));
    *r1 = vcombine_u32(vget_low_u32(rows01.val[1]), vget_low_u32(rows23.val[1]));
    *r2 = vcombine_u32(vget_high_u32(rows01.val[0]), vget_high_u32(rows23.val[0]));
    *r3 = vcombine_u32(vget_high_u32(rows01.val[1]), vget_high_u32(rows23.val[1]));
}

/* Bytes, not words: they may lie at any address, and words are little-endian. */
static inline vector load_row(const uint8_t *at)
{
    return vreinterpretq_u32_u8(vld1q_u8(at));
}

static inline void load_block(const uint8_t *at, size_t stride, vector m[16])
{
    for (size_t i = 0; i < 16; i += 4) {
        for (size_t j = 0; j < 4; j++) {
            m[i + j] = load_row(at + j * stride + 4 * i);
        }
        transpose(&m[i], &m[i + 1], &m[i + 2], &m[i + 3]);
    }
}

/* The next block is loaded at once, when the rounds have used this one. */
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
        vst1q_u8(cvs_out + i * DIGEST_CV_BYTES, vreinterpretq_u8_u32(cv[i]));
        vst1q_u8(cvs_out + i * DIGEST_CV_BYTES + 16, vreinterpretq_u8_u32(cv[4 + i]));
    }
}

#include "digest/lanes.h"

static bool supported(void)
{
    return true;
}

const struct digest_engine digest_engine_neon = {
    .name = "neon",
    .supported = supported,
    .leaves = leaves,
    .parents = parents,
    .nh = nh_neon,
};
