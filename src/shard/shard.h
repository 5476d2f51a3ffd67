/* SPDX-License-Identifier: Apache-2.0 */
/* A shard is a safetensors file (huggingface/safetensors, README "Format"), in memory as on disk:
 *
 *     u64 little-endian   N, the bytes of the JSON text
 *     N bytes             JSON text, padded with spaces
 *     rest                tensor data, without holes
 *
 * This room lays out and writes the header of a new shard, with no allocation, and reads the header
 * of any safetensors file, trusting nothing in it. It never touches tensor data.
 *
 * What ckptd writes is a special case of the format: data starts at a multiple of CKPT_DATA_ALIGN;
 * the header lists the tensors as the caller ordered them; the data has them by falling element
 * size, in the caller's order within one size, so that each tensor is aligned to its element
 * without a hole. (The official writer sorts likewise, then by name.) Equal tensors and metadata in
 * equal order give equal bytes. */
#ifndef CKPT_SHARD_SHARD_H
#define CKPT_SHARD_SHARD_H

#include <stddef.h>
#include <stdint.h>

#include <ckpt/dtype.h>
#include <ckpt/status.h>

#include "base/limits.h"

/* Key-value pairs that a caller may put into "__metadata__". */
#define SHARD_METADATA_MAX 256

/* The name of the one U8 tensor of a shard of opaque bytes, unless the caller names it. */
#define SHARD_OPAQUE_NAME "bytes"

/* The largest shard; far above any arena, and sums of sizes below it do not overflow. */
#define SHARD_BYTES_MAX (UINT64_C(1) << 62)

struct shard_tensor {
    const char *name; /* owned by the caller, or by the index that the tensor is from */
    enum ckpt_dtype dtype;
    uint32_t dimensions; /* 0 is a scalar */
    uint64_t shape[CKPT_DIMENSIONS_MAX];
    uint64_t offset; /* of the first byte, from the start of the shard */
    uint64_t bytes;
};

/* Both UTF-8. */
struct shard_metadata {
    const char *key;
    const char *value;
};

struct shard_layout {
    uint64_t data_offset; /* bytes of length, JSON and padding: where data starts */
    uint64_t bytes;       /* of the whole shard */
};

/* One tensor that holds bytes of no known type. offset is not set. */
struct shard_tensor shard_tensor_opaque(const char *name, uint64_t bytes);

/* How many entries of scratch shard_layout_make needs for so many tensors (at most 8 times
 * CKPT_TENSORS_MAX; 0 tensors need 0). */
size_t shard_scratch_count(size_t tensor_count);

/* Checks names, types and shapes of a new shard and lays it out: sets offset and bytes of each
 * tensor, and the sizes. scratch is shard_scratch_count(tensor_count) entries of any content, used
 * only during the call. Pure; never allocates; linear in the length of all names.
 *
 * RETURN VALUE
 * CKPT_OK; on an error *layout_out is as it was, offset and bytes of tensors are unspecified, and
 * reason_out (of reason_size bytes) has one line that says which tensor and what.
 *
 * ERRORS
 * - CKPT_ERR_NAME - a tensor name is not UTF-8 of up to CKPT_TENSOR_NAME_MAX bytes, is
 *   "__metadata__", or is there twice
 * - CKPT_ERR_DTYPE - dtype is no type
 * - CKPT_ERR_SIZE - more than CKPT_DIMENSIONS_MAX dimensions, or elements of 4 or 6 bits do not
 *   fill whole bytes
 * - CKPT_ERR_INVALID - a metadata key or value is not UTF-8, or a key is there twice
 * - CKPT_ERR_TOO_LARGE - more than CKPT_TENSORS_MAX tensors or SHARD_METADATA_MAX pairs; a header
 *   of more than CKPT_SHARD_HEADER_MAX bytes; a shard of more than SHARD_BYTES_MAX */
enum ckpt_status shard_layout_make(struct shard_tensor *tensors, size_t tensor_count,
                                   const struct shard_metadata *metadata, size_t metadata_count,
                                   uint32_t *scratch, struct shard_layout *layout_out,
                                   char *reason_out, size_t reason_size);

/* Writes the header of a shard that shard_layout_make laid out: layout->data_offset bytes, each
 * written once. The arguments are those that shard_layout_make filled. Pure; never allocates.
 *
 * RETURN VALUE
 * CKPT_OK, or CKPT_ERR_SIZE when the JSON does not fit because the arguments are not what was laid
 * out; never writes more than layout->data_offset bytes. */
enum ckpt_status shard_header_encode(const struct shard_tensor *tensors, size_t tensor_count,
                                     const struct shard_metadata *metadata, size_t metadata_count,
                                     const struct shard_layout *layout, void *header_out);

/* The tensors of a safetensors file, decoded and checked. Reading it is safe in any thread. */
struct shard_index;

/* How many bytes of a file its header takes, from the first 8 of them: what shard_index_new wants
 * as prefix.
 *
 * RETURN VALUE
 * CKPT_OK and *header_bytes_out, from 8 to 8 + CKPT_SHARD_HEADER_MAX.
 *
 * ERRORS
 * - CKPT_ERR_TOO_LARGE - the length is above CKPT_SHARD_HEADER_MAX
 * - CKPT_ERR_CORRUPT - the file of file_bytes bytes ends before its header */
enum ckpt_status shard_header_size(const uint8_t first_bytes[8], uint64_t file_bytes,
                                   uint64_t *header_bytes_out);

/* Decodes the header of a safetensors file of file_bytes bytes, of which the first prefix_bytes lie
 * at prefix. Nothing in them is trusted, and they are copied before they are checked: another
 * process that writes to them during the call makes an error or an index of what was checked.
 *
 * Refuses what the official reader refuses: a header that is not one JSON object of UTF-8 text,
 * starting with '{' and followed by spaces only; a name twice; an unknown type; a shape
 * that does not give end - begin bytes; holes, overlaps, and bytes after the last tensor. Also
 * names and counts outside ckptd's limits. Accepts any order of tensors and fields, and ignores
 * fields it does not know.
 *
 * Allocates in proportion to the header. The index owns copies of all it gives, so that prefix may
 * go away; shard_index_delete frees it.
 *
 * RETURN VALUE
 * CKPT_OK; on an error *index_out is as it was and reason_out (of reason_size bytes) has one line
 * that says what and where.
 *
 * ERRORS
 * - CKPT_ERR_CORRUPT - not a safetensors header, or cut short
 * - CKPT_ERR_NAME - a tensor name outside ckptd's rules
 * - CKPT_ERR_DTYPE - an unknown type
 * - CKPT_ERR_SIZE - offsets, shapes and the file's size do not add up
 * - CKPT_ERR_TOO_LARGE - a limit of shard_layout_make is passed
 * - CKPT_ERR_MEMORY */
enum ckpt_status shard_index_new(const void *prefix, uint64_t prefix_bytes, uint64_t file_bytes,
                                 struct shard_index **index_out, char *reason_out,
                                 size_t reason_size);

/* Frees *index and sets it to NULL; accepts NULL in it. */
void shard_index_delete(struct shard_index **index);

/* How many tensors; the n-th (n below the count) in the order of their data; the one of a name, or
 * NULL. What they give lives as long as the index. */
size_t shard_index_count(const struct shard_index *index);
const struct shard_tensor *shard_index_at(const struct shard_index *index, size_t n);
const struct shard_tensor *shard_index_find(const struct shard_index *index, const char *name);

/* The pairs of "__metadata__" in the order of the file; n is below the count. They live as long as
 * the index. */
size_t shard_index_metadata_count(const struct shard_index *index);
struct shard_metadata shard_index_metadata_at(const struct shard_index *index, size_t n);

/* Where data starts, and the bytes of the file. */
struct shard_layout shard_index_layout(const struct shard_index *index);

#endif
