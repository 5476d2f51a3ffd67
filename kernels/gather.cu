/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors of any alignment into one contiguous region, and back. A warp has a window of the region
 * and goes over the tensors in it. Stores are of 16 aligned bytes, but for a range's ends. Where
 * source and target agree modulo 16, so are loads; elsewhere what is stored is cut out of two
 * aligned loads. Nothing is read that the range has not.
 */
#include "kernels/tensors.h"

#define VECTORS_AHEAD 4 /* read before the first is stored */

/* 16 bytes, `words` and a part of a word behind those of low. */
template <unsigned WORDS> TEXT_INLINE uint4 cut(uint4 low, uint4 high, unsigned bits)
{
    const uint32_t both[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};

    return make_uint4(funnel_right(both[WORDS], both[WORDS + 1], bits),
                      funnel_right(both[WORDS + 1], both[WORDS + 2], bits),
                      funnel_right(both[WORDS + 2], both[WORDS + 3], bits),
                      funnel_right(both[WORDS + 3], both[WORDS + 4 < 8 ? WORDS + 4 : 7], bits));
}

TEXT_INLINE void copy_bytes(uint8_t *target, const uint8_t *source, uint64_t begin, uint64_t end)
{
#pragma unroll 1
    for (uint64_t i = begin + threadIdx.x % WARP_LANES; i < end; i += WARP_LANES) {
        target[i] = source[i];
    }
}

/* Vectors begin to end - 1 of a target, from a source that is aligned as it is. */
TEXT_INLINE void copy_alike(uint8_t *target, const uint8_t *source, uint64_t end)
{
    uint64_t v = threadIdx.x % WARP_LANES;

#pragma unroll 1
    for (; v + (VECTORS_AHEAD - 1) * WARP_LANES < end; v += VECTORS_AHEAD * WARP_LANES) {
        uint4 words[VECTORS_AHEAD];

#pragma unroll
        for (unsigned i = 0; i < VECTORS_AHEAD; i++) {
            words[i] = load16_once(source + (v + i * WARP_LANES) * 16);
        }
#pragma unroll
        for (unsigned i = 0; i < VECTORS_AHEAD; i++) {
            store16(target + (v + i * WARP_LANES) * 16, words[i]);
        }
    }
#pragma unroll 1
    for (; v < end; v += WARP_LANES) {
        store16(target + v * 16, load16_once(source + v * 16));
    }
}

/* The same from a source of which vector 0 begins WORDS words and `bits` bits behind `floor`, which
 * is aligned. */
template <unsigned WORDS>
TEXT_INLINE void copy_shifted(uint8_t *target, const uint8_t *floor, uint64_t begin, uint64_t end,
                              unsigned bits)
{
#pragma unroll 2
    for (uint64_t v = begin + threadIdx.x % WARP_LANES; v < end; v += WARP_LANES) {
        uint4 low = load16(floor + v * 16), high = load16(floor + v * 16 + 16);

        store16(target + v * 16, cut<WORDS>(low, high, bits));
    }
}

/* Copies a range; all lanes of a warp come here. */
TEXT_INLINE void copy_range(uint8_t *target, const uint8_t *source, uint64_t bytes)
{
    uint64_t head = (0 - reinterpret_cast<uintptr_t>(target)) % 16;

    head = head < bytes ? head : bytes;
    copy_bytes(target, source, 0, head);
    target += head, source += head, bytes -= head;
    unsigned shift = reinterpret_cast<uintptr_t>(source) % 16;
    uint64_t begin = 0, end = bytes / 16;

    if (shift == 0) {
        copy_alike(target, source, end);
    } else {
        const uint8_t *floor = source - shift;

        /* The two loads of the first and of the last one may reach beyond the range. */
        begin = head < shift && end > 0 ? 1 : 0;
        end = end > begin && bytes - end * 16 < 16 - shift ? end - 1 : end;
        copy_bytes(target, source, 0, begin * 16);
        switch (shift / 4) {
        case 0:
            copy_shifted<0>(target, floor, begin, end, shift % 4 * 8);
            break;
        case 1:
            copy_shifted<1>(target, floor, begin, end, shift % 4 * 8);
            break;
        case 2:
            copy_shifted<2>(target, floor, begin, end, shift % 4 * 8);
            break;
        default:
            copy_shifted<3>(target, floor, begin, end, shift % 4 * 8);
            break;
        }
    }
    copy_bytes(target, source, end * 16, bytes);
}

/* GATHER: to the region, which begins at `place`; otherwise from it. */
template <bool GATHER>
__global__ void __launch_bounds__(WINDOW_THREADS, WINDOW_BLOCKS_OF_64_REGISTERS)
    copy_tensors(const kernels_tensor *tensors, uint64_t count, uint64_t place, uint64_t bytes,
                 uint8_t *region)
{
    const window mine = window_of_warp(place, bytes);

#pragma unroll 1
    for (uint64_t i = first_after(tensors, count, mine.begin);
         i < count && tensors[i].place < mine.end; i++) {
        const kernels_tensor tensor = tensors[i];
        uint64_t tensor_end = tensor.place + tensor.bytes;
        uint64_t begin = mine.begin > tensor.place ? mine.begin : tensor.place;
        uint64_t end = mine.end < tensor_end ? mine.end : tensor_end;
        uint8_t *here = region + (begin - place);
        uint8_t *there = reinterpret_cast<uint8_t *>(tensor.address + (begin - tensor.place));

        copy_range(GATHER ? here : there, GATHER ? there : here, end - begin);
    }
}

int kernels_gather(const struct kernels_tensor *tensors, uint64_t count, uint64_t place,
                   uint64_t bytes, void *region_out, void *stream)
{
    if (!window_allowed(place, bytes)) {
        return KERNELS_ERR_ARGUMENT;
    }
    if (count > 0 && bytes > 0) {
        LAUNCH(copy_tensors<true>, window_blocks(bytes), WINDOW_THREADS, stream, tensors, count,
               place, bytes, static_cast<uint8_t *>(region_out));
    }
    return launched();
}

int kernels_scatter(const struct kernels_tensor *tensors, uint64_t count, uint64_t place,
                    uint64_t bytes, const void *region, void *stream)
{
    if (!window_allowed(place, bytes)) {
        return KERNELS_ERR_ARGUMENT;
    }
    if (count > 0 && bytes > 0) {
        LAUNCH(copy_tensors<false>, window_blocks(bytes), WINDOW_THREADS, stream, tensors, count,
               place, bytes, const_cast<uint8_t *>(static_cast<const uint8_t *>(region)));
    }
    return launched();
}
