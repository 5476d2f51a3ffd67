/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stream_copy.h"

#include <stdbool.h>
#include <string.h>

#define CACHE_LINE 64

#if defined(__x86_64__)
#include <immintrin.h>

/* Below this the ends that memcpy copies and the fence cost more than the stores save. */
#define STREAM_BYTES_MIN ((size_t)4 << 10)

__attribute__((target("avx512f"))) static void stream_avx512(uint8_t *to, const uint8_t *from,
                                                             size_t lines)
{
    for (; lines >= 4; lines -= 4, to += 256, from += 256) {
        __m512i a = _mm512_loadu_si512(from);
        __m512i b = _mm512_loadu_si512(from + 64);
        __m512i c = _mm512_loadu_si512(from + 128);
        __m512i d = _mm512_loadu_si512(from + 192);
        _mm512_stream_si512((void *)to, a);
        _mm512_stream_si512((void *)(to + 64), b);
        _mm512_stream_si512((void *)(to + 128), c);
        _mm512_stream_si512((void *)(to + 192), d);
    }
    for (; lines > 0; lines--, to += 64, from += 64) {
        _mm512_stream_si512((void *)to, _mm512_loadu_si512(from));
    }
    _mm_sfence();
}

__attribute__((target("avx2"))) static void stream_avx2(uint8_t *to, const uint8_t *from,
                                                        size_t lines)
{
    for (; lines > 0; lines--, to += 64, from += 64) {
        __m256i a = _mm256_loadu_si256((const void *)from);
        __m256i b = _mm256_loadu_si256((const void *)(from + 32));
        _mm256_stream_si256((void *)to, a);
        _mm256_stream_si256((void *)(to + 32), b);
    }
    _mm_sfence();
}

void stream_copy(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes == 0) {
        return; /* an empty tensor may have no address, and memcpy() takes no NULL */
    }
    bool wide = __builtin_cpu_supports("avx512f") != 0;
    if (bytes < STREAM_BYTES_MIN || (!wide && !__builtin_cpu_supports("avx2"))) {
        memcpy(to, from, bytes);
        return;
    }
    size_t head = (size_t)(-(uintptr_t)to & (CACHE_LINE - 1));
    size_t lines = (bytes - head) / CACHE_LINE;
    size_t middle = lines * CACHE_LINE;
    memcpy(to, from, head);
    if (wide) {
        stream_avx512(to + head, from + head, lines);
    } else {
        stream_avx2(to + head, from + head, lines);
    }
    memcpy(to + head + middle, from + head + middle, bytes - head - middle);
}

#else

void stream_copy(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes > 0) {
        memcpy(to, from, bytes);
    }
}

#endif
