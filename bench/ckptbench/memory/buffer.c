/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/buffer.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096

static uint8_t *map(size_t bytes, int flags, int fd)
{
    uint8_t *buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (buffer == MAP_FAILED) {
        return NULL;
    }
    for (size_t i = 0; i < bytes; i += PAGE_BYTES) {
        buffer[i] = 1;
    }
    return buffer;
}

uint8_t *buffer_make(size_t bytes)
{
    return map(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

uint8_t *buffer_make_shared(size_t bytes)
{
    uint8_t *buffer = NULL;
    int fd = memfd_create("ckptbench", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0) {
        buffer = map(bytes, MAP_SHARED, fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    return buffer;
}

void buffer_free(uint8_t **buffer, size_t bytes)
{
    if (*buffer != NULL) {
        munmap(*buffer, bytes);
        *buffer = NULL;
    }
}

/* xorshift64*, Marsaglia 2003 and Vigna 2016: fast, and no word repeats. */
void buffer_fill(uint8_t *buffer, size_t bytes, uint64_t seed)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < bytes; i += sizeof(state)) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        uint64_t word = state * UINT64_C(0x2545f4914f6cdd1d);
        memcpy(buffer + i, &word, bytes - i < sizeof(word) ? bytes - i : sizeof(word));
    }
}
