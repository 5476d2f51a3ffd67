/* SPDX-License-Identifier: Apache-2.0 */
/* What is no finite number: by type, in 16 bytes at once or one element after the other. */
#ifndef CKPT_KERNELS_FINITE_H
#define CKPT_KERNELS_FINITE_H

#include <ckpt/dtype.h>

#include "kernels/launch.h"

/* How the elements of a type look. An element is not finite where all bits of `exponent` are set;
 * then it is an infinity where no other bit but the sign is, if the type has any. */
struct number_kind {
    unsigned bits; /* of an element; 0: a type of which nothing is counted */
    uint64_t exponent;
    bool infinities;
};

TEXT_INLINE number_kind number_kind_of(uint32_t dtype)
{
    switch (dtype) {
    case CKPT_DTYPE_F16:
        return {16, 0x7c00, true};
    case CKPT_DTYPE_BF16:
        return {16, 0x7f80, true};
    case CKPT_DTYPE_F32:
    case CKPT_DTYPE_C64:
        return {32, 0x7f800000, true};
    case CKPT_DTYPE_F64:
        return {64, UINT64_C(0x7ff0000000000000), true};
    case CKPT_DTYPE_F8_E4M3:
        return {8, 0x7f, false};
    case CKPT_DTYPE_F8_E5M2:
        return {8, 0x7c, true};
    default:
        return {0, 0, false};
    }
}

/* The tensor that a thread has counted in last, and what is not yet added to its counts. */
struct tally {
    kernels_counts *counts;
    uint64_t tensor;
    uint32_t nans, infinities;
};

TEXT_INLINE void tally_add(tally *t)
{
    if (t->nans != 0) {
        add_atomically(&t->counts[t->tensor].nans, t->nans);
    }
    if (t->infinities != 0) {
        add_atomically(&t->counts[t->tensor].infinities, t->infinities);
    }
    t->nans = t->infinities = 0;
}

TEXT_INLINE void tally_turn(tally *t, uint64_t tensor)
{
    if (t->tensor != tensor) {
        tally_add(t);
        t->tensor = tensor;
    }
}

TEXT_INLINE void count_element(tally *t, const number_kind &kind, uint64_t element)
{
    uint64_t sign = UINT64_C(1) << (kind.bits - 1);

    if ((element & kind.exponent) == kind.exponent) {
        if (kind.infinities && (element & (sign - 1)) == kind.exponent) {
            t->infinities++;
        } else {
            t->nans++;
        }
    }
}

/* The elements of 16 bytes, the first of which begins there. Where an exponent is all ones, adding
 * its lowest bit carries into the sign: three operations a word see whether there is any. */
TEXT_INLINE void count_vector(tally *t, const number_kind &kind, uint4 words)
{
    /* Of a word, or of the upper one of two; elements of fewer bits stand side by side. */
    uint32_t repeat = kind.bits == 8 ? 0x01010101 : kind.bits == 16 ? 0x00010001 : 1;
    uint32_t upper = (uint32_t)(kind.bits == 64 ? kind.exponent >> 32 : kind.exponent) * repeat;
    /* The exponent's lowest bit in each element, and its sign. */
    uint32_t one =
        (uint32_t)(kind.bits == 64 ? 0x00100000 : kind.exponent & (0 - kind.exponent)) * repeat;
    uint32_t top = kind.bits == 8 ? 0x80808080 : kind.bits == 16 ? 0x80008000 : 0x80000000;
    uint32_t lower = kind.bits == 64 ? 0 : upper, lower_one = kind.bits == 64 ? 0 : one;
    uint32_t found = (((words.x & lower) + lower_one) | ((words.z & lower) + lower_one) |
                      ((words.y & upper) + one) | ((words.w & upper) + one)) &
                     top;

    if (found != 0) {
        uint64_t low = (uint64_t)words.y << 32 | words.x, high = (uint64_t)words.w << 32 | words.z;

#pragma unroll 1
        for (unsigned at = 0; at < 128; at += kind.bits) {
            uint64_t element = (at < 64 ? low : high) >> at % 64;

            count_element(t, kind,
                          kind.bits == 64 ? element : element & ((UINT64_C(1) << kind.bits) - 1));
        }
    }
}

/* The element at an address of any alignment. */
TEXT_INLINE uint64_t element_at(const uint8_t *address, unsigned bits)
{
    uint64_t element = 0;

#pragma unroll 1
    for (unsigned i = 0; i < bits / 8; i++) {
        element |= (uint64_t)address[i] << 8 * i;
    }
    return element;
}

#endif
