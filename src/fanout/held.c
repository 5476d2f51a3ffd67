/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout/held.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/reason.h"

struct held *held_make(uint64_t bytes)
{
    struct held *held = calloc(1, sizeof(*held));
    if (held == NULL || bytes == 0) {
        return held;
    }
    void *memory = bytes <= SIZE_MAX ? mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                     : MAP_FAILED;
    if (memory == MAP_FAILED) {
        free(held);
        return NULL;
    }
    held->memory = memory;
    held->memory_bytes = bytes;
    return held;
}

void held_drop(struct held *held)
{
    if (held == NULL) {
        return;
    }
    shard_index_delete(&held->index);
    if (held->memory != NULL) {
        (void)munmap(held->memory, (size_t)held->memory_bytes);
    }
    if (held->lent.bytes > 0) {
        held->source.unload(held->source.context, &held->lent);
    }
    free(held);
}

enum ckpt_status held_index(struct held *held, char *reason)
{
    const uint8_t *data = held->memory != NULL ? held->memory : held->lent.data;
    uint64_t bytes = held->memory != NULL ? held->memory_bytes : held->lent.bytes;
    char why[CKPT_REASON_MAX + 1] = "it ends before its header does";
    uint64_t header_bytes;
    enum ckpt_status status =
        bytes < 8 ? CKPT_ERR_CORRUPT : shard_header_size(data, bytes, &header_bytes);
    if (status == CKPT_OK) {
        status = shard_index_new(data, header_bytes, bytes, &held->index, why, sizeof(why));
    }
    return status == CKPT_OK || status == CKPT_ERR_MEMORY
               ? status
               : reason_refuse(reason, CKPT_ERR_CORRUPT,
                               "fan-out: the shard is no safetensors file: %.180s", why);
}
