/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: an index while it is filled. */
#ifndef CKPT_SHARD_INDEX_H
#define CKPT_SHARD_INDEX_H

#include "shard/shard.h"
#include "base/reason.h"

struct shard_index {
    struct shard_layout layout;
    size_t count;
    struct shard_tensor *tensors;        /* in the order of their data */
    const struct shard_tensor **by_name; /* the same, in the order of strcmp */
    size_t metadata_count;
    struct shard_metadata *metadata;
    char *strings; /* what names, keys and values point into */
};

/* Puts the tensors, whose offsets are still from the start of data, in order, checks that they fill
 * the data without hole, overlap or rest, and makes the offsets those of the file.
 *
 * RETURN VALUE
 * CKPT_OK, or CKPT_ERR_SIZE and one line in reason. */
enum ckpt_status index_order(struct shard_index *index, struct reason reason);

#endif
