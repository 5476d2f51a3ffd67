/* SPDX-License-Identifier: Apache-2.0 */
/* Memory as a GPU gives it, on the heap: aligned to 256 bytes, and nothing behind it is the
 * caller's, which AddressSanitizer sees. Tests alone. */
#ifndef CKPT_TESTS_DEVICE_MEMORY_H
#define CKPT_TESTS_DEVICE_MEMORY_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

/* At least one byte, so that it has an address. To be given back. */
static inline uint8_t *device_memory_take(uint64_t bytes)
{
    void *memory = NULL;
    int failed = posix_memalign(&memory, 256, bytes > 0 ? (size_t)bytes : 1);

    assert(failed == 0);
    (void)failed;
    return (uint8_t *)memory;
}

static inline void device_memory_give(uint8_t *memory)
{
    free(memory);
}

/* Bytes that depend on the seed, and on their place. */
static inline void device_memory_fill(uint8_t *memory, uint64_t bytes, uint32_t seed)
{
    uint32_t word = seed * 2654435761u + 1;

    for (uint64_t i = 0; i < bytes; i++) {
        word = word * 1664525u + 1013904223u;
        memory[i] = (uint8_t)(word >> 24);
    }
}

#endif
