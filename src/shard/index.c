/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shard/tensor.h"

static int compare_places(const void *a, const void *b)
{
    const struct shard_tensor *left = a;
    const struct shard_tensor *right = b;
    if (left->offset != right->offset) {
        return left->offset < right->offset ? -1 : 1;
    }
    if (left->bytes != right->bytes) {
        return left->bytes < right->bytes ? -1 : 1;
    }
    return strcmp(left->name, right->name);
}

static int compare_names(const void *a, const void *b)
{
    const struct shard_tensor *const *left = a;
    const struct shard_tensor *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

enum ckpt_status index_order(struct shard_index *index, struct reason reason)
{
    uint64_t data_bytes = index->layout.bytes - index->layout.data_offset;
    uint64_t at = 0;
    qsort(index->tensors, index->count, sizeof(*index->tensors), compare_places);
    for (size_t i = 0; i < index->count; i++) {
        struct shard_tensor *tensor = &index->tensors[i];
        if (tensor->offset != at) {
            return reason_refuse_in(reason, CKPT_ERR_SIZE,
                                    "tensor %s begins at %" PRIu64
                                    " of the data, the one before it ends at "
                                    "%" PRIu64,
                                    TENSOR_LABEL(tensor->name), tensor->offset, at);
        }
        if (tensor->bytes > data_bytes - at) {
            return reason_refuse_in(reason, CKPT_ERR_SIZE,
                                    "tensor %s ends at %" PRIu64
                                    " of the data, which ends at %" PRIu64,
                                    TENSOR_LABEL(tensor->name), at + tensor->bytes, data_bytes);
        }
        at += tensor->bytes;
        tensor->offset += index->layout.data_offset;
        index->by_name[i] = tensor;
    }
    if (at != data_bytes) {
        return reason_refuse_in(reason, CKPT_ERR_SIZE,
                                "the tensors end at %" PRIu64 " of the data, the file at %" PRIu64,
                                at, data_bytes);
    }
    qsort(index->by_name, index->count, sizeof(*index->by_name), compare_names);
    return CKPT_OK;
}

void shard_index_delete(struct shard_index **index)
{
    if (*index) {
        free((*index)->tensors);
        free((*index)->by_name);
        free((*index)->metadata);
        free((*index)->strings);
        free(*index);
        *index = NULL;
    }
}

size_t shard_index_count(const struct shard_index *index)
{
    return index->count;
}

const struct shard_tensor *shard_index_at(const struct shard_index *index, size_t n)
{
    return &index->tensors[n];
}

const struct shard_tensor *shard_index_find(const struct shard_index *index, const char *name)
{
    const struct shard_tensor wanted = {.name = name};
    const struct shard_tensor *key = &wanted;
    const struct shard_tensor **found =
        bsearch(&key, index->by_name, index->count, sizeof(*index->by_name), compare_names);
    return found ? *found : NULL;
}

size_t shard_index_metadata_count(const struct shard_index *index)
{
    return index->metadata_count;
}

struct shard_metadata shard_index_metadata_at(const struct shard_index *index, size_t n)
{
    return index->metadata[n];
}

struct shard_layout shard_index_layout(const struct shard_index *index)
{
    return index->layout;
}
