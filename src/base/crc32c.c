/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <string.h>

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t bytes)
{
    /* remainder[n] is n shifted right by four bits through the reflected polynomial. */
    static const uint32_t remainder[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *b = data;
    uint32_t state = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        state ^= b[i];
        state = state >> 4 ^ remainder[state & 15];
        state = state >> 4 ^ remainder[state & 15];
    }
    return ~state;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
                                                               size_t bytes)
{
    const uint8_t *b = data;
    uint64_t state = (uint32_t)~crc;
    for (; bytes >= 8; bytes -= 8, b += 8) {
        uint64_t word;
        memcpy(&word, b, sizeof(word));
        state = _mm_crc32_u64(state, word);
    }
    for (; bytes > 0; bytes--, b++) {
        state = _mm_crc32_u8((uint32_t)state, *b);
    }
    return ~(uint32_t)state;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    if (__builtin_cpu_supports("sse4.2")) {
        return crc32c_sse42(crc, data, bytes);
    }
    return crc32c_portable(crc, data, bytes);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return crc32c_portable(crc, data, bytes);
}

#endif
