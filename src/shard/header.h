/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a header, without its padding; shared by the layout, which counts, and the encoder,
 * which writes: one function, so the two cannot differ. */
#ifndef CKPT_SHARD_HEADER_H
#define CKPT_SHARD_HEADER_H

#include "shard/shard.h"

/* Writes the JSON of the tensors to text_out, which has room for text_size bytes, or only counts
 * when text_out is NULL. tensors[i].offset - data_offset is what data_offsets begin with.
 *
 * RETURN VALUE
 * The bytes of the whole JSON, no NUL; when that is above text_size, the rest was not written. */
uint64_t json_text_put(const struct shard_tensor *tensors, size_t tensor_count,
                       const struct shard_metadata *metadata, size_t metadata_count,
                       uint64_t data_offset, char *text_out, uint64_t text_size);

#endif
