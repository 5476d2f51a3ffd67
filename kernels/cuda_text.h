/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels' text needs besides CUDA C, so that nvcc and g++ compile the same text. For g++
 * tests/unit/kernels/cuda_on_cpu.h comes first and gives the rest of CUDA's words.
 *
 * Everything that g++ cannot check is here: a function of one statement with its twin in C beside
 * it. A barrier or a wait has a name, so that the tests can leave it out and see that it is missed.
 */
#ifndef CKPT_KERNELS_CUDA_TEXT_H
#define CKPT_KERNELS_CUDA_TEXT_H

#include <stdint.h>

#define WARP_LANES 32

/* Every barrier and wait of the kernels: what has been done when it is past. */
#define BARRIER_TABLE(EACH)                                                                        \
    EACH(BLAKE3_PIECE_LANDED)                                                                      \
    EACH(BLAKE3_PIECE_SHOWN)                                                                       \
    EACH(BLAKE3_PIECE_TAKEN)                                                                       \
    EACH(BLAKE3_VALUES_SHOWN)                                                                      \
    EACH(BLAKE3_PAIRS_TAKEN)                                                                       \
    EACH(BLAKE3_PARENTS_SHOWN)                                                                     \
    EACH(FINGERPRINT_KEY_SHOWN)                                                                    \
    EACH(FINGERPRINT_HASHES_SHOWN)                                                                 \
    EACH(FINGERPRINT_SUMS_SHOWN)

enum barrier {
    BARRIER_NONE,
#define BARRIER_ENUM(name) name,
    BARRIER_TABLE(BARRIER_ENUM)
#undef BARRIER_ENUM
        BARRIER_END
};

#ifdef __CUDACC__

#include <cuda_runtime.h>

#define SHARED(type, name, count) __shared__ type name[count]
#define LAUNCH(kernel, blocks, threads, stream, ...)                                               \
    kernel<<<(unsigned)(blocks), threads, 0, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__)
#define BLOCK_BARRIER(name) __syncthreads()
#define WARP_BARRIER(name) __syncwarp()
#define COPIES_WAIT(name, left) copies_wait<left>()

#define TEXT_INLINE __device__ static __forceinline__
#define TEXT_BOTH __host__ __device__ static __forceinline__

/* Right by 16, 12, 8 and 7 bits. */
template <unsigned BITS> TEXT_INLINE uint32_t rotate_right(uint32_t word)
{
    return BITS % 8 != 0 ? __funnelshift_r(word, word, BITS)
                         : __byte_perm(word, word, BITS == 16 ? 0x1032 : 0x0321);
}

/* 16 bytes from global to shared memory, both aligned, behind this thread's back where the GPU can
 * (compute capability 8.0), past the nearest cache. */
TEXT_INLINE void copy16(void *shared_target, const void *source)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     static_cast<unsigned>(__cvta_generic_to_shared(shared_target))),
                 "l"(source)
                 : "memory");
#else
    *static_cast<uint4 *>(shared_target) = *static_cast<const uint4 *>(source);
#endif
}

/* The same of the first 0 to 16 bytes; zeros follow, and what lies beyond is not read. */
TEXT_INLINE void copy16_part(void *shared_target, const void *source, unsigned bytes)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     static_cast<unsigned>(__cvta_generic_to_shared(shared_target))),
                 "l"(source), "r"(bytes)
                 : "memory");
#else
#pragma unroll 1
    for (unsigned i = 0; i < 16; i++) {
        static_cast<uint8_t *>(shared_target)[i] =
            i < bytes ? static_cast<const uint8_t *>(source)[i] : 0;
    }
#endif
}

/* What this thread began to copy since the last call is a group. */
TEXT_INLINE void copies_commit()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Of this thread's groups all but the last LEFT have landed. */
template <unsigned LEFT> TEXT_INLINE void copies_wait()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
#endif
}

/* 16 aligned bytes of global memory that nobody writes meanwhile; once: that are not read again. */
TEXT_INLINE uint4 load16(const void *source)
{
    uint4 words;

    asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
        : "l"(source));
    return words;
}

TEXT_INLINE uint4 load16_once(const void *source)
{
    uint4 words;

    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
        : "l"(source));
    return words;
}

TEXT_INLINE void store16(void *target, uint4 words)
{
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(target), "r"(words.x),
                 "r"(words.y), "r"(words.z), "r"(words.w)
                 : "memory");
}

/* The lower word of high:low, shifted right by 0 to 31 bits. */
TEXT_INLINE uint32_t funnel_right(uint32_t low, uint32_t high, unsigned bits)
{
    return __funnelshift_r(low, high, bits);
}

/* What the lane whose number differs by those bits gives. All lanes of the warp come here. */
TEXT_INLINE uint64_t shuffle_xor(uint64_t value, unsigned bits)
{
    return __shfl_xor_sync(0xffffffffu, value, static_cast<int>(bits));
}

/* The lanes for which it is so. All lanes of the warp come here. */
TEXT_INLINE uint32_t lanes_where(bool so)
{
    return __ballot_sync(0xffffffffu, so);
}

TEXT_INLINE void add_atomically(uint64_t *to, uint64_t count)
{
    atomicAdd(reinterpret_cast<unsigned long long *>(to), count);
}

#else

#define SHARED(type, name, count)                                                                  \
    type *name = static_cast<type *>(cpu_shared(#name, (count) * sizeof(type)))
#define LAUNCH(kernel, blocks, threads, stream, ...)                                               \
    cpu_put(stream, blocks, threads, [=] { kernel(__VA_ARGS__); })
#define BLOCK_BARRIER(name) cpu_block_barrier(name)
#define WARP_BARRIER(name) cpu_warp_barrier(name)
#define COPIES_WAIT(name, left) cpu_copies_wait(name, left)

#define TEXT_INLINE static inline
#define TEXT_BOTH static inline

template <unsigned BITS> TEXT_INLINE uint32_t rotate_right(uint32_t word)
{
    return word >> BITS | word << (32 - BITS);
}

TEXT_INLINE void copy16(void *shared_target, const void *source)
{
    cpu_copy(shared_target, source, 16);
}

TEXT_INLINE void copy16_part(void *shared_target, const void *source, unsigned bytes)
{
    cpu_copy(shared_target, source, bytes);
}

TEXT_INLINE void copies_commit()
{
    cpu_copies_commit();
}

TEXT_INLINE uint4 load16(const void *source)
{
    return cpu_load16(source);
}

TEXT_INLINE uint4 load16_once(const void *source)
{
    return cpu_load16(source);
}

TEXT_INLINE void store16(void *target, uint4 words)
{
    cpu_store16(target, words);
}

TEXT_INLINE uint32_t funnel_right(uint32_t low, uint32_t high, unsigned bits)
{
    return static_cast<uint32_t>((static_cast<uint64_t>(high) << 32 | low) >> bits);
}

TEXT_INLINE uint64_t shuffle_xor(uint64_t value, unsigned bits)
{
    return cpu_exchange(value)[threadIdx.x % WARP_LANES ^ bits];
}

TEXT_INLINE uint32_t lanes_where(bool so)
{
    const uint64_t *lanes = cpu_exchange(so ? 1 : 0);
    uint32_t found = 0;

    for (unsigned i = 0; i < WARP_LANES; i++) {
        found |= static_cast<uint32_t>(lanes[i]) << i;
    }
    return found;
}

TEXT_INLINE void add_atomically(uint64_t *to, uint64_t count)
{
    *to += count;
}

#endif

#endif
