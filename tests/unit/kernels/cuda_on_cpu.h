/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA's words for g++: the kernels' text runs on a CPU, block after block, each thread a fiber.
 *
 * It is made to miss nothing that a GPU might do. A fiber runs until it comes to a barrier, a
 * shuffle or its end; who runs next is decided by the order in force, and a warp may run far ahead
 * of another. Copies land late, at once or by chance; until then their target is poisoned, as
 * shared memory is at a block's start. Threads of a warp that stand at different barriers, copies
 * that nobody waited for, and a block that cannot go on are faults (cpu_run.h).
 *
 * Not modelled: blocks side by side, so neither is the order of memory between them; registers,
 * banks, and time.
 */
#ifndef CKPT_TESTS_CUDA_ON_CPU_H
#define CKPT_TESTS_CUDA_ON_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};

static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w)
{
    return {x, y, z, w};
}

struct cpu_place {
    unsigned x;
};

extern cpu_place threadIdx, blockIdx, blockDim, gridDim;

static inline unsigned __popc(uint32_t word)
{
    return static_cast<unsigned>(__builtin_popcount(word));
}

static inline int __ffs(unsigned word)
{
    return __builtin_ffs(static_cast<int>(word));
}

typedef int cudaError_t;
const char *cudaGetErrorString(cudaError_t error);

void cpu_launch(uint64_t blocks, unsigned threads, const std::function<void()> &kernel);
/* These two are replaced where there are streams (tests/fake_gpu): by themselves they launch at
 * once, and never fail. */
void cpu_put(void *stream, uint64_t blocks, unsigned threads, const std::function<void()> &kernel);
int cpu_launched();
void *cpu_shared(const char *name, size_t bytes);
void cpu_block_barrier(int name);
void cpu_warp_barrier(int name);
void cpu_copy(void *target, const void *source, unsigned bytes);
uint4 cpu_load16(const void *source);
void cpu_store16(void *target, uint4 words);
/* What each lane of the warp gave, until this one comes here again. */
const uint64_t *cpu_exchange(uint64_t given);
void cpu_copies_commit();
void cpu_copies_wait(int name, unsigned left);

#endif
