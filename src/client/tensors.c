/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a loaded shard. */
#include <string.h>

#include <ckpt/ckpt.h>

#include "client/loaded.h"

static void show(const struct loaded *loaded, const struct shard_tensor *from,
                 struct ckpt_tensor *tensor_out)
{
    *tensor_out = (struct ckpt_tensor){
        .name = from->name,
        .dtype = from->dtype,
        .dimensions = from->dimensions,
        .data = loaded->loan.view.address + from->offset,
        .bytes = from->bytes,
    };
    memcpy(tensor_out->shape, from->shape, sizeof(tensor_out->shape));
}

enum ckpt_status ckpt_find(const struct ckpt_shard *shard, const char *name,
                           struct ckpt_tensor *tensor_out)
{
    if (shard == NULL || shard->private_state == NULL || name == NULL || tensor_out == NULL) {
        return CKPT_ERR_INVALID;
    }
    const struct loaded *loaded = shard->private_state;
    const struct shard_tensor *found = shard_index_find(loaded->index, name);
    if (found == NULL) {
        return CKPT_ERR_NOT_FOUND;
    }
    show(loaded, found, tensor_out);
    return CKPT_OK;
}

enum ckpt_status ckpt_tensor_at(const struct ckpt_shard *shard, size_t index,
                                struct ckpt_tensor *tensor_out)
{
    if (shard == NULL || shard->private_state == NULL || tensor_out == NULL) {
        return CKPT_ERR_INVALID;
    }
    const struct loaded *loaded = shard->private_state;
    if (index >= shard_index_count(loaded->index)) {
        return CKPT_ERR_NOT_FOUND;
    }
    show(loaded, shard_index_at(loaded->index, index), tensor_out);
    return CKPT_OK;
}

enum ckpt_status ckpt_read(const struct ckpt_shard *shard, const char *name, uint64_t offset,
                           uint64_t bytes, void *buffer)
{
    struct ckpt_tensor tensor;
    if (buffer == NULL && bytes > 0) {
        return CKPT_ERR_INVALID;
    }
    enum ckpt_status status = ckpt_find(shard, name, &tensor);
    if (status != CKPT_OK) {
        return status;
    }
    if (offset > tensor.bytes || bytes > tensor.bytes - offset) {
        return CKPT_ERR_SIZE;
    }
    if (bytes > 0) {
        memcpy(buffer, (const uint8_t *)tensor.data + offset, (size_t)bytes);
    }
    return CKPT_OK;
}
