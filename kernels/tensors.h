/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of tensors, in the order of their places. */
#ifndef CKPT_KERNELS_TENSORS_H
#define CKPT_KERNELS_TENSORS_H

#include "kernels/launch.h"

/* So much of the shard is a warp's in kernels that go over tables; a block has four warps. */
#define WINDOW_BYTES 8192u
#define WINDOW_WARPS 4u
#define WINDOW_THREADS (WINDOW_WARPS * WARP_LANES)
#define WINDOW_BLOCKS_OF_64_REGISTERS 8 /* on a multiprocessor; the compiler need not spare more */
#define WINDOW_BLOCK_BYTES (WINDOW_WARPS * WINDOW_BYTES)

/* The first tensor that ends after that place, or count. */
TEXT_INLINE uint64_t first_after(const kernels_tensor *tensors, uint64_t count, uint64_t place)
{
    uint64_t low = 0, high = count;

#pragma unroll 1
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (tensors[middle].place + tensors[middle].bytes > place) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* The part of `bytes` bytes from `place` on that this warp has. */
struct window {
    uint64_t begin, end;
};

TEXT_INLINE window window_of_warp(uint64_t place, uint64_t bytes)
{
    uint64_t begin =
        (uint64_t)blockIdx.x * WINDOW_BLOCK_BYTES + threadIdx.x / WARP_LANES * WINDOW_BYTES;
    uint64_t end = begin + WINDOW_BYTES;

    begin = begin < bytes ? begin : bytes;
    end = end < bytes ? end : bytes;
    return {place + begin, place + end};
}

static inline uint64_t window_blocks(uint64_t bytes)
{
    return (bytes + WINDOW_BLOCK_BYTES - 1) / WINDOW_BLOCK_BYTES;
}

/* Whether the region's end has a number, and a grid can be so large. */
static inline bool window_allowed(uint64_t place, uint64_t bytes)
{
    return bytes <= UINT64_C(1) << 43 && place <= UINT64_MAX - bytes;
}

#endif
