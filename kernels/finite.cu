/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is no finite number, counted in tensors where they are. A warp has a window of the shard and
 * goes over the tensors in it; an element is the warp's in whose window its first byte lies.
 */
#include "kernels/finite.h"
#include "kernels/tensors.h"

#define VECTORS_AHEAD 4 /* read before the first is looked at */

/* Counts in `bytes` bytes, whole elements, at an address that is a multiple of their size. */
TEXT_INLINE void count_aligned(tally *t, const number_kind &kind, const uint8_t *data,
                               uint64_t bytes)
{
    unsigned lane = threadIdx.x % WARP_LANES, size = kind.bits / 8;
    uint64_t head = (0 - reinterpret_cast<uintptr_t>(data)) % 16;

    head = head < bytes ? head : bytes;
    if (lane * size < head) {
        count_element(t, kind, element_at(data + lane * size, kind.bits));
    }
    data += head;
    bytes -= head;
    uint64_t vectors = bytes / 16, v = lane;

#pragma unroll 1
    for (; v + (VECTORS_AHEAD - 1) * WARP_LANES < vectors; v += VECTORS_AHEAD * WARP_LANES) {
        uint4 words[VECTORS_AHEAD];

#pragma unroll
        for (unsigned i = 0; i < VECTORS_AHEAD; i++) {
            words[i] = load16_once(data + (v + i * WARP_LANES) * 16);
        }
#pragma unroll
        for (unsigned i = 0; i < VECTORS_AHEAD; i++) {
            count_vector(t, kind, words[i]);
        }
    }
#pragma unroll 1
    for (; v < vectors; v += WARP_LANES) {
        count_vector(t, kind, load16_once(data + v * 16));
    }
    if (vectors * 16 + lane * size < bytes) {
        count_element(t, kind, element_at(data + vectors * 16 + lane * size, kind.bits));
    }
}

TEXT_INLINE void count_in_window(tally *t, const kernels_tensor &tensor, const window &mine)
{
    const number_kind kind = number_kind_of(tensor.dtype);
    unsigned size = kind.bits / 8;
    uint64_t begin = mine.begin > tensor.place ? mine.begin - tensor.place : 0;
    uint64_t end = mine.end - tensor.place;

    if (size == 0) {
        return;
    }
    end = end < tensor.bytes ? end : tensor.bytes;
    begin = (begin + size - 1) / size;
    end = (end + size - 1) / size;
    end = end < tensor.bytes / size ? end : tensor.bytes / size;
    if (begin >= end) {
        return;
    }
    const uint8_t *data = reinterpret_cast<const uint8_t *>(tensor.address) + begin * size;

    if (tensor.address % size == 0) {
        count_aligned(t, kind, data, (end - begin) * size);
        return;
    }
#pragma unroll 1
    for (uint64_t i = threadIdx.x % WARP_LANES; i < end - begin; i += WARP_LANES) {
        count_element(t, kind, element_at(data + i * size, kind.bits));
    }
}

__global__ void __launch_bounds__(WINDOW_THREADS, WINDOW_BLOCKS_OF_64_REGISTERS)
    count_not_finite(const kernels_tensor *tensors, uint64_t count, uint64_t place, uint64_t bytes,
                     kernels_counts *counts)
{
    const window mine = window_of_warp(place, bytes);
    tally t = {counts, 0, 0, 0};

#pragma unroll 1
    for (uint64_t i = first_after(tensors, count, mine.begin);
         i < count && tensors[i].place < mine.end; i++) {
        tally_turn(&t, i);
        count_in_window(&t, tensors[i], mine);
    }
    tally_add(&t);
}

int kernels_finite(const struct kernels_tensor *tensors, uint64_t count, uint64_t place,
                   uint64_t bytes, struct kernels_counts *counts, void *stream)
{
    if (!window_allowed(place, bytes)) {
        return KERNELS_ERR_ARGUMENT;
    }
    if (count > 0 && bytes > 0) {
        LAUNCH(count_not_finite, window_blocks(bytes), WINDOW_THREADS, stream, tensors, count,
               place, bytes, counts);
    }
    return launched();
}
