/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions of kernels.h ask before and after they put a kernel on a stream. */
#ifndef CKPT_KERNELS_LAUNCH_H
#define CKPT_KERNELS_LAUNCH_H

#include "kernels/cuda_text.h"
#include "kernels/kernels.h"

#define CHUNK_BYTES (1u << 20) /* CKPT_CHUNK_BYTES of src/base/limits.h, which is C */
#define BLOCKS_MAX 0x7fffffffu /* of a grid */

static inline bool aligned(const void *address)
{
    return reinterpret_cast<uintptr_t>(address) % KERNELS_ALIGN == 0;
}

/* Whether `bytes` from chunk first_chunk on are whole chunks of the shard, or all up to its end. */
static inline bool chunks_of_shard(uint64_t bytes, uint64_t first_chunk, uint64_t shard_bytes)
{
    uint64_t begin = first_chunk * CHUNK_BYTES;

    if (first_chunk > UINT64_MAX / CHUNK_BYTES || begin > shard_bytes) {
        return false;
    }
    return bytes == shard_bytes - begin ||
           (bytes % CHUNK_BYTES == 0 && bytes < shard_bytes - begin);
}

#ifdef __CUDACC__

/* What the launches since the last call came to. */
static inline int launched()
{
    return static_cast<int>(cudaGetLastError());
}

/* Whether the current device has code of that kernel. */
static inline int loadable(const void *kernel)
{
    cudaFuncAttributes attributes;

    return static_cast<int>(cudaFuncGetAttributes(&attributes, kernel));
}

#else

static inline int launched()
{
    return cpu_launched();
}

static inline int loadable(const void *kernel)
{
    return kernel != nullptr ? 0 : KERNELS_ERR_ARGUMENT;
}

#endif

#endif
