/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and lays out a new shard. This is on the save path: no allocation. */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "shard/header.h"
#include "base/reason.h"
#include "shard/shard.h"
#include "shard/tensor.h"
#include "shard/utf8.h"

size_t shard_scratch_count(size_t tensor_count)
{
    /* A hash table at most half full, of a power of two. */
    size_t entries = tensor_count == 0 ? 0 : 2;
    if (tensor_count > CKPT_TENSORS_MAX) {
        tensor_count = CKPT_TENSORS_MAX;
    }
    while (entries < 2 * tensor_count) {
        entries *= 2;
    }
    return entries;
}

/* FNV-1a, 64 bits (G. Fowler, L. Noll, K.-P. Vo). */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 32;
}

static enum ckpt_status check_names(const struct shard_tensor *tensors, size_t count,
                                    uint32_t *scratch, struct reason reason)
{
    size_t entries = shard_scratch_count(count);
    if (entries > 0) {
        memset(scratch, 0, entries * sizeof(*scratch));
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = tensors[i].name;
        const char *problem = name ? tensor_name_problem(name) : "has no name";
        if (problem) {
            return reason_refuse_in(reason, CKPT_ERR_NAME, "tensor %zu: the name %s %s", i,
                                    TENSOR_LABEL(name), problem);
        }
        /* An entry is the number of a tensor plus 1; 0 is free. */
        size_t at = hash_name(name) & (entries - 1);
        for (; scratch[at] != 0; at = (at + 1) & (entries - 1)) {
            if (strcmp(tensors[scratch[at] - 1].name, name) == 0) {
                return reason_refuse_in(reason, CKPT_ERR_NAME,
                                        "tensors %" PRIu32 " and %zu are both named %s",
                                        scratch[at] - 1, i, TENSOR_LABEL(name));
            }
        }
        scratch[at] = (uint32_t)i + 1;
    }
    return CKPT_OK;
}

static enum ckpt_status check_metadata(const struct shard_metadata *metadata, size_t count,
                                       struct reason reason)
{
    for (size_t i = 0; i < count; i++) {
        if (!metadata[i].key || !utf8_is_valid(metadata[i].key)) {
            return reason_refuse_in(reason, CKPT_ERR_INVALID,
                                    "metadata %zu: the key is not UTF-8 text", i);
        }
        if (!metadata[i].value || !utf8_is_valid(metadata[i].value)) {
            return reason_refuse_in(reason, CKPT_ERR_INVALID,
                                    "metadata %s: the value is not UTF-8 text",
                                    TENSOR_LABEL(metadata[i].key));
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(metadata[i].key, metadata[j].key) == 0) {
                return reason_refuse_in(reason, CKPT_ERR_INVALID, "metadata %s is given twice",
                                        TENSOR_LABEL(metadata[i].key));
            }
        }
    }
    return CKPT_OK;
}

static enum ckpt_status measure_tensors(struct shard_tensor *tensors, size_t count,
                                        struct reason reason)
{
    for (size_t i = 0; i < count; i++) {
        struct shard_tensor *tensor = &tensors[i];
        const char *problem = NULL;
        if (!ckpt_dtype_name(tensor->dtype)) {
            return reason_refuse_in(reason, CKPT_ERR_DTYPE, "tensor %s: %d is no data type",
                                    TENSOR_LABEL(tensor->name), (int)tensor->dtype);
        }
        if (tensor->dimensions > CKPT_DIMENSIONS_MAX) {
            return reason_refuse_in(
                reason, CKPT_ERR_SIZE, "tensor %s has %" PRIu32 " dimensions, at most %d",
                TENSOR_LABEL(tensor->name), tensor->dimensions, CKPT_DIMENSIONS_MAX);
        }
        enum ckpt_status status = tensor_measure(tensor, &tensor->bytes, &problem);
        if (status != CKPT_OK) {
            return reason_refuse_in(reason, status, "tensor %s %s", TENSOR_LABEL(tensor->name),
                                    problem);
        }
    }
    return CKPT_OK;
}

/* Gives each tensor its offset from the start of data, and the bytes of all; false when there are
 * too many. Larger elements first: what was placed before is a multiple of the next size. */
static bool place_tensors(struct shard_tensor *tensors, size_t count, uint64_t *bytes_out)
{
    static const unsigned element_bits[] = {64, 32, 16, 8, 6, 4};
    uint64_t at = 0;
    for (size_t n = 0; n < sizeof(element_bits) / sizeof(element_bits[0]); n++) {
        for (size_t i = 0; i < count; i++) {
            if (ckpt_dtype_bits(tensors[i].dtype) != element_bits[n]) {
                continue;
            }
            tensors[i].offset = at;
            at += tensors[i].bytes;
            if (at > SHARD_BYTES_MAX) {
                return false;
            }
        }
    }
    *bytes_out = at;
    return true;
}

static enum ckpt_status check_counts(size_t tensor_count, size_t metadata_count,
                                     struct reason reason)
{
    if (tensor_count > CKPT_TENSORS_MAX) {
        return reason_refuse_in(reason, CKPT_ERR_TOO_LARGE, "%zu tensors, at most %d", tensor_count,
                                CKPT_TENSORS_MAX);
    }
    if (metadata_count > SHARD_METADATA_MAX) {
        return reason_refuse_in(reason, CKPT_ERR_TOO_LARGE, "%zu metadata pairs, at most %d",
                                metadata_count, SHARD_METADATA_MAX);
    }
    return CKPT_OK;
}

enum ckpt_status shard_layout_make(struct shard_tensor *tensors, size_t tensor_count,
                                   const struct shard_metadata *metadata, size_t metadata_count,
                                   uint32_t *scratch, struct shard_layout *layout_out,
                                   char *reason_out, size_t reason_size)
{
    struct reason reason = {reason_out, reason_size};
    uint64_t data_bytes;
    enum ckpt_status status = check_counts(tensor_count, metadata_count, reason);
    if (status == CKPT_OK) {
        status = check_names(tensors, tensor_count, scratch, reason);
    }
    if (status == CKPT_OK) {
        status = check_metadata(metadata, metadata_count, reason);
    }
    if (status == CKPT_OK) {
        status = measure_tensors(tensors, tensor_count, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    if (!place_tensors(tensors, tensor_count, &data_bytes)) {
        return reason_refuse_in(reason, CKPT_ERR_TOO_LARGE,
                                "the tensors are larger than any shard can be");
    }
    uint64_t header =
        8 + json_text_put(tensors, tensor_count, metadata, metadata_count, 0, NULL, 0);
    uint64_t data_offset = (header + CKPT_DATA_ALIGN - 1) / CKPT_DATA_ALIGN * CKPT_DATA_ALIGN;
    if (data_offset - 8 > CKPT_SHARD_HEADER_MAX) {
        return reason_refuse_in(reason, CKPT_ERR_TOO_LARGE,
                                "names, shapes and metadata take %" PRIu64
                                " bytes, at most %" PRIu64,
                                header, CKPT_SHARD_HEADER_MAX);
    }
    for (size_t i = 0; i < tensor_count; i++) {
        tensors[i].offset += data_offset;
    }
    *layout_out =
        (struct shard_layout){.data_offset = data_offset, .bytes = data_offset + data_bytes};
    return CKPT_OK;
}
