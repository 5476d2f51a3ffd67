/* SPDX-License-Identifier: Apache-2.0 */
/* Which values are others than before: a thread has a value, a warp a word of bits. */
#include "kernels/launch.h"

#define THREADS 256

__global__ void __launch_bounds__(THREADS)
    changed_values(const uint8_t *values, const uint8_t *before, unsigned value_bytes,
                   uint64_t count, uint32_t *bits_out)
{
    uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
    bool changed = i < count && before == nullptr;

    if (i < count && before != nullptr) {
#pragma unroll 1
        for (unsigned at = 0; at < value_bytes; at += 16) {
            uint4 now = load16(values + i * value_bytes + at);
            uint4 then = load16(before + i * value_bytes + at);

            changed |= now.x != then.x || now.y != then.y || now.z != then.z || now.w != then.w;
        }
    }
    uint32_t bits = lanes_where(changed);

    if (threadIdx.x % WARP_LANES == 0 && i < count) {
        bits_out[i / WARP_LANES] = bits;
    }
}

int kernels_changed(const void *values, const void *before, uint32_t value_bytes, uint64_t count,
                    uint32_t *bits_out, void *stream)
{
    uint64_t blocks = count / THREADS + (count % THREADS != 0);

    if (!aligned(values) || !aligned(before) || value_bytes == 0 || value_bytes % 16 != 0 ||
        reinterpret_cast<uintptr_t>(bits_out) % sizeof(*bits_out) != 0 || blocks > BLOCKS_MAX) {
        return KERNELS_ERR_ARGUMENT;
    }
    if (count > 0) {
        LAUNCH(changed_values, blocks, THREADS, stream, static_cast<const uint8_t *>(values),
               static_cast<const uint8_t *>(before), value_bytes, count, bits_out);
    }
    return launched();
}
