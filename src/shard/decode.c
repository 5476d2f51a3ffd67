/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the header of a safetensors file that may be damaged or hostile. */
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/reason.h"
#include "shard/index.h"
#include "shard/scan.h"
#include "shard/shard.h"
#include "shard/tensor.h"

/* One call of shard_index_new. */
struct decoding {
    struct shard_index *index;
    size_t strings_used;
    struct reason reason;
};

enum ckpt_status shard_header_size(const uint8_t first_bytes[8], uint64_t file_bytes,
                                   uint64_t *header_bytes_out)
{
    if (file_bytes < 8) {
        return CKPT_ERR_CORRUPT;
    }
    uint64_t text_bytes = load_le64(first_bytes);
    if (text_bytes > CKPT_SHARD_HEADER_MAX) {
        return CKPT_ERR_TOO_LARGE;
    }
    if (text_bytes > file_bytes - 8) {
        return CKPT_ERR_CORRUPT;
    }
    *header_bytes_out = 8 + text_bytes;
    return CKPT_OK;
}

/* Copies a string into the index; there is room, for strings_bytes counted it. */
static const char *keep_string(struct decoding *decoding, const char *string)
{
    size_t bytes = strlen(string) + 1;
    char *kept = decoding->index->strings + decoding->strings_used;
    memcpy(kept, string, bytes);
    decoding->strings_used += bytes;
    return kept;
}

/* A JSON number as the format's unsigned integers. */
static bool unsigned_value(const json_t *value, uint64_t *number_out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *number_out = (uint64_t)json_integer_value(value);
    return true;
}

static enum ckpt_status decode_shape(struct decoding *decoding, const json_t *shape,
                                     struct shard_tensor *tensor)
{
    if (!json_is_array(shape)) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_CORRUPT, "tensor %s has no shape",
                                TENSOR_LABEL(tensor->name));
    }
    size_t dimensions = json_array_size(shape);
    if (dimensions > CKPT_DIMENSIONS_MAX) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_SIZE,
                                "tensor %s has %zu dimensions, at most %d",
                                TENSOR_LABEL(tensor->name), dimensions, CKPT_DIMENSIONS_MAX);
    }
    tensor->dimensions = (uint32_t)dimensions;
    for (size_t i = 0; i < dimensions; i++) {
        if (!unsigned_value(json_array_get(shape, i), &tensor->shape[i])) {
            return reason_refuse_in(decoding->reason, CKPT_ERR_CORRUPT,
                                    "tensor %s: dimension %zu of its shape is not a count",
                                    TENSOR_LABEL(tensor->name), i);
        }
    }
    return CKPT_OK;
}

/* Sets offset, relative to the start of data, and bytes, as the file claims them. */
static enum ckpt_status decode_offsets(struct decoding *decoding, const json_t *offsets,
                                       struct shard_tensor *tensor)
{
    uint64_t begin;
    uint64_t end;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !unsigned_value(json_array_get(offsets, 0), &begin) ||
        !unsigned_value(json_array_get(offsets, 1), &end)) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_CORRUPT,
                                "tensor %s: data_offsets is not [begin, end]",
                                TENSOR_LABEL(tensor->name));
    }
    if (end < begin) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_SIZE,
                                "tensor %s ends at %" PRIu64 ", before it begins at %" PRIu64,
                                TENSOR_LABEL(tensor->name), end, begin);
    }
    tensor->offset = begin;
    tensor->bytes = end - begin;
    return CKPT_OK;
}

static enum ckpt_status decode_tensor(struct decoding *decoding, const char *name,
                                      const json_t *fields, struct shard_tensor *tensor)
{
    const char *problem = tensor_name_problem(name);
    if (problem) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_NAME, "tensor name %s %s",
                                TENSOR_LABEL(name), problem);
    }
    tensor->name = keep_string(decoding, name);
    if (!json_is_object(fields)) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_CORRUPT,
                                "tensor %s is not a JSON object", TENSOR_LABEL(name));
    }
    const json_t *dtype = json_object_get(fields, "dtype");
    if (!json_is_string(dtype)) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_CORRUPT, "tensor %s has no dtype",
                                TENSOR_LABEL(name));
    }
    if (ckpt_dtype_from_name(json_string_value(dtype), &tensor->dtype) != CKPT_OK) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_DTYPE,
                                "tensor %s has the unknown data type %s", TENSOR_LABEL(name),
                                TENSOR_LABEL(json_string_value(dtype)));
    }
    enum ckpt_status status = decode_shape(decoding, json_object_get(fields, "shape"), tensor);
    if (status == CKPT_OK) {
        status = decode_offsets(decoding, json_object_get(fields, "data_offsets"), tensor);
    }
    uint64_t bytes;
    if (status == CKPT_OK) {
        status = tensor_measure(tensor, &bytes, &problem);
        if (status != CKPT_OK) {
            return reason_refuse_in(decoding->reason, status, "tensor %s %s", TENSOR_LABEL(name),
                                    problem);
        }
        if (bytes != tensor->bytes) {
            return reason_refuse_in(decoding->reason, CKPT_ERR_SIZE,
                                    "tensor %s has %" PRIu64 " bytes by its shape, %" PRIu64
                                    " by its data_offsets",
                                    TENSOR_LABEL(name), bytes, tensor->bytes);
        }
    }
    return status;
}

static enum ckpt_status decode_metadata(struct decoding *decoding, json_t *pairs)
{
    struct shard_index *index = decoding->index;
    const char *key;
    json_t *value;
    json_object_foreach(pairs, key, value)
    {
        if (!json_is_string(value)) {
            return reason_refuse_in(decoding->reason, CKPT_ERR_CORRUPT,
                                    "metadata %s is not a string", TENSOR_LABEL(key));
        }
        struct shard_metadata *metadata = &index->metadata[index->metadata_count++];
        metadata->key = keep_string(decoding, key);
        metadata->value = keep_string(decoding, json_string_value(value));
    }
    return CKPT_OK;
}

/* What all names, keys and values take with their NULs. */
static size_t strings_bytes(json_t *root, json_t *pairs)
{
    size_t bytes = 1;
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        bytes += strlen(key) + 1;
    }
    json_object_foreach(pairs, key, value)
    {
        bytes += strlen(key) + 1 + json_string_length(value) + 1;
    }
    return bytes;
}

static bool allocate_tables(struct shard_index *index, json_t *root, json_t *pairs)
{
    /* One entry more than needed, so that nothing asks for 0 bytes. */
    size_t tensors = json_object_size(root) + 1;
    index->tensors = calloc(tensors, sizeof(*index->tensors));
    index->by_name = calloc(tensors, sizeof(struct shard_tensor *));
    index->metadata = calloc(json_object_size(pairs) + 1, sizeof(*index->metadata));
    index->strings = malloc(strings_bytes(root, pairs));
    return index->tensors && index->by_name && index->metadata && index->strings;
}

/* Fills the index from the parsed header. */
static enum ckpt_status decode_root(struct decoding *decoding, json_t *root)
{
    struct shard_index *index = decoding->index;
    json_t *pairs = json_object_get(root, TENSOR_RESERVED_NAME);
    size_t tensors = json_object_size(root) - (pairs ? 1 : 0);
    if (json_is_null(pairs)) {
        pairs = NULL; /* the official reader takes null for none */
    } else if (pairs && !json_is_object(pairs)) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_CORRUPT,
                                "__metadata__ is not a JSON object");
    }
    if (tensors > CKPT_TENSORS_MAX) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_TOO_LARGE, "%zu tensors, at most %d",
                                tensors, CKPT_TENSORS_MAX);
    }
    if (json_object_size(pairs) > SHARD_METADATA_MAX) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_TOO_LARGE,
                                "%zu metadata pairs, at most %d", json_object_size(pairs),
                                SHARD_METADATA_MAX);
    }
    if (!allocate_tables(index, root, pairs)) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_MEMORY, "no memory for %zu tensors",
                                tensors);
    }
    enum ckpt_status status = decode_metadata(decoding, pairs);
    const char *name;
    json_t *fields;
    json_object_foreach(root, name, fields)
    {
        if (status == CKPT_OK && strcmp(name, TENSOR_RESERVED_NAME) != 0) {
            status = decode_tensor(decoding, name, fields, &index->tensors[index->count++]);
        }
    }
    if (status != CKPT_OK) {
        return status;
    }
    return index_order(index, decoding->reason);
}

/* Parses JSON text that no one else can write to; the caller owns *root_out. */
static enum ckpt_status parse(struct decoding *decoding, const char *text, uint64_t bytes,
                              json_t **root_out)
{
    const char *problem = NULL;
    uint64_t at = 0;
    json_error_t error;
    enum ckpt_status status = scan_json(text, bytes, &problem, &at);
    if (status != CKPT_OK) {
        return reason_refuse_in(decoding->reason, status, "byte %" PRIu64 ": %s", 8 + at, problem);
    }
    json_t *root = json_loadb(text, (size_t)bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root && json_error_code(&error) == json_error_out_of_memory) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_MEMORY,
                                "no memory for the header's JSON");
    }
    if (!root) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_CORRUPT,
                                "byte %d: the header is not JSON: %s", 8 + error.position,
                                LOG_QUOTED(error.text));
    }
    *root_out = root;
    return CKPT_OK;
}

/* Copies the text before it is looked at: prefix may be memory that another process writes to, and
 * must not change between the scan and the parser. */
static enum ckpt_status copy_and_parse(struct decoding *decoding, const char *text, uint64_t bytes,
                                       json_t **root_out)
{
    char *copy = malloc((size_t)bytes + 1);
    if (!copy) {
        return reason_refuse_in(decoding->reason, CKPT_ERR_MEMORY,
                                "no memory for a header of %" PRIu64 " bytes", bytes);
    }
    memcpy(copy, text, (size_t)bytes);
    enum ckpt_status status = parse(decoding, copy, bytes, root_out);
    free(copy);
    return status;
}

enum ckpt_status shard_index_new(const void *prefix, uint64_t prefix_bytes, uint64_t file_bytes,
                                 struct shard_index **index_out, char *reason_out,
                                 size_t reason_size)
{
    struct decoding decoding = {.reason = {reason_out, reason_size}};
    uint8_t first_bytes[8];
    uint64_t header_bytes;
    json_t *root;
    if (prefix_bytes > file_bytes) {
        prefix_bytes = file_bytes;
    }
    if (prefix_bytes < sizeof(first_bytes)) {
        return reason_refuse_in(decoding.reason, CKPT_ERR_CORRUPT,
                                "the file ends within its first 8 bytes");
    }
    memcpy(first_bytes, prefix, sizeof(first_bytes));
    enum ckpt_status status = shard_header_size(first_bytes, file_bytes, &header_bytes);
    if (status != CKPT_OK || header_bytes > prefix_bytes) {
        return reason_refuse_in(decoding.reason, status == CKPT_OK ? CKPT_ERR_CORRUPT : status,
                                "the header claims %" PRIu64 " bytes, more than %s",
                                load_le64(first_bytes),
                                status == CKPT_ERR_TOO_LARGE ? "the format allows" : "there are");
    }
    status = copy_and_parse(&decoding, (const char *)prefix + 8, header_bytes - 8, &root);
    if (status != CKPT_OK) {
        return status;
    }
    decoding.index = calloc(1, sizeof(*decoding.index));
    if (!decoding.index) {
        status = reason_refuse_in(decoding.reason, CKPT_ERR_MEMORY, "no memory for an index");
        goto free_root;
    }
    decoding.index->layout = (struct shard_layout){header_bytes, file_bytes};
    status = decode_root(&decoding, root);
    if (status == CKPT_OK) {
        *index_out = decoding.index;
    } else {
        shard_index_delete(&decoding.index);
    }

free_root:
    json_decref(root);
    return status;
}
