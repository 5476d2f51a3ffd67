/* SPDX-License-Identifier: Apache-2.0 */
/* A laid out shard on its way into a slot: ask, map, write the header, copy, seal. Every call sets
 * the context's reason when it fails. */
#ifndef CKPT_CLIENT_STAGE_H
#define CKPT_CLIENT_STAGE_H

#include "client/context.h"

/* What is to be written into a slot: a header, unless it has one already, and pieces. */
struct stage {
    uint64_t step;
    uint64_t bytes;
    const struct shard_layout *layout; /* NULL: the pieces are the whole file */
    size_t tensor_count;
    size_t metadata_count;
    size_t piece_count;
};

/* Takes a slot, writes the header and copies the pieces there are. *deadline moves by the time of
 * the copy, which has no bound but the bytes and counts for none of the time that may be waited. */
enum ckpt_status stage_fill(struct ckpt *ckpt, const struct stage *stage, struct deadline *deadline,
                            struct client_grant *grant_out);
/* The slot is complete: from here on the agent answers for it. */
enum ckpt_status stage_seal(struct ckpt *ckpt, uint64_t step, const struct client_grant *grant,
                            struct deadline deadline);
/* Both. */
enum ckpt_status stage_all(struct ckpt *ckpt, const struct stage *stage, struct deadline deadline);

#endif
