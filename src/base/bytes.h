/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian numbers in byte buffers of any alignment, and bytes as lower-case hex.
 * Everything here is pure; any thread. */
#ifndef CKPT_BASE_BYTES_H
#define CKPT_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* The shifts below compile to one load or store where the machine is little-endian. */

static inline uint16_t load_le16(const void *from)
{
    const uint8_t *b = from;
    return (uint16_t)(b[0] | (uint16_t)(b[1] << 8));
}

static inline uint32_t load_le32(const void *from)
{
    const uint8_t *b = from;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t load_le64(const void *from)
{
    const uint8_t *b = from;
    return (uint64_t)load_le32(b) | (uint64_t)load_le32(b + 4) << 32;
}

static inline void store_le16(void *to, uint16_t value)
{
    uint8_t *b = to;
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
}

static inline void store_le32(void *to, uint32_t value)
{
    uint8_t *b = to;
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
    b[2] = (uint8_t)(value >> 16);
    b[3] = (uint8_t)(value >> 24);
}

static inline void store_le64(void *to, uint64_t value)
{
    uint8_t *b = to;
    store_le32(b, (uint32_t)value);
    store_le32(b + 4, (uint32_t)(value >> 32));
}

/* Writes 2 * bytes lower-case hex digits and a NUL: hex_out has room for 2 * bytes + 1. */
static inline void hex_encode(const void *from, size_t bytes, char *hex_out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = from;
    for (size_t i = 0; i < bytes; i++) {
        hex_out[2 * i] = digits[b[i] >> 4];
        hex_out[2 * i + 1] = digits[b[i] & 15];
    }
    hex_out[2 * bytes] = '\0';
}

#endif
