/* SPDX-License-Identifier: Apache-2.0 */
/* Untrusted safetensors headers. An input that is accepted must be consistent with itself, and what
 * is written from it must be read as the same tensors.
 *
 * The first byte chooses: even, the rest is a file; odd, the rest is 4 bytes of data size and JSON
 * text, for which this makes the length. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "shard/shard.h"

static char reason[CKPT_REASON_MAX + 1];

static void expect(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check_same(const struct shard_index *index, const struct shard_tensor *tensors,
                       size_t count)
{
    expect(shard_index_count(index) == count);
    for (size_t i = 0; i < count; i++) {
        const struct shard_tensor *found = shard_index_find(index, tensors[i].name);
        expect(found != NULL);
        expect(found->dtype == tensors[i].dtype && found->bytes == tensors[i].bytes);
        expect(found->dimensions == tensors[i].dimensions);
        expect(memcmp(found->shape, tensors[i].shape, sizeof(found->shape)) == 0);
    }
}

static void check_written(const struct shard_index *index)
{
    size_t count = shard_index_count(index);
    size_t pairs = shard_index_metadata_count(index);
    struct shard_tensor *tensors = calloc(count + 1, sizeof(*tensors));
    struct shard_metadata *metadata = calloc(pairs + 1, sizeof(*metadata));
    uint32_t *scratch = calloc(shard_scratch_count(count) + 1, sizeof(*scratch));
    struct shard_layout layout;
    for (size_t i = 0; i < count; i++) {
        tensors[i] = *shard_index_at(index, i);
    }
    for (size_t i = 0; i < pairs; i++) {
        metadata[i] = shard_index_metadata_at(index, i);
    }
    enum ckpt_status status = shard_layout_make(tensors, count, metadata, pairs, scratch, &layout,
                                                reason, sizeof(reason));
    expect(status == CKPT_OK);
    uint8_t *header = malloc(layout.data_offset);
    expect(shard_header_encode(tensors, count, metadata, pairs, &layout, header) == CKPT_OK);
    struct shard_index *again;
    expect(shard_index_new(header, layout.data_offset, layout.bytes, &again, reason,
                           sizeof(reason)) == CKPT_OK);
    check_same(again, tensors, count);
    shard_index_delete(&again);
    free(header);
    free(scratch);
    free(metadata);
    free(tensors);
}

static void check_index(const struct shard_index *index)
{
    struct shard_layout layout = shard_index_layout(index);
    uint64_t at = layout.data_offset;
    for (size_t i = 0; i < shard_index_count(index); i++) {
        const struct shard_tensor *tensor = shard_index_at(index, i);
        expect(tensor->offset == at);
        expect(tensor->dimensions <= CKPT_DIMENSIONS_MAX);
        expect(shard_index_find(index, tensor->name) == tensor);
        at += tensor->bytes;
    }
    expect(at == layout.bytes);
    check_written(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 5) {
        return 0;
    }
    uint8_t *file;
    uint64_t prefix_bytes;
    uint64_t file_bytes;
    if (data[0] % 2 == 0) {
        prefix_bytes = file_bytes = bytes - 1;
        file = malloc(prefix_bytes);
        memcpy(file, data + 1, prefix_bytes);
    } else {
        prefix_bytes = 8 + bytes - 5;
        file_bytes = prefix_bytes + load_le32(data + 1);
        file = malloc(prefix_bytes);
        store_le64(file, bytes - 5);
        memcpy(file + 8, data + 5, bytes - 5);
    }
    struct shard_index *index = NULL;
    reason[0] = '\0';
    enum ckpt_status status =
        shard_index_new(file, prefix_bytes, file_bytes, &index, reason, sizeof(reason));
    free(file);
    if (status == CKPT_OK) {
        check_index(index);
        shard_index_delete(&index);
    } else {
        expect(index == NULL && reason[0] != '\0');
    }
    return 0;
}
