/* SPDX-License-Identifier: Apache-2.0 */
/* The table of shards: finding, adding, removing. */
#ifndef CKPT_COORDINATOR_SHARD_H
#define CKPT_COORDINATOR_SHARD_H

#include "coordinator/state.h"

/* The rank's shard; NULL: it has not been told of. */
struct shard *coordinator_shard_find(const struct coordinator *c, const struct checkpoint *k,
                                     uint32_t rank);
/* The rank's shard, which is new; NULL: the table is full. */
struct shard *coordinator_shard_add(struct coordinator *c, struct checkpoint *k, uint32_t rank);
/* All shards of the checkpoint leave the table. */
void coordinator_checkpoint_free_shards(struct coordinator *c, struct checkpoint *k);

#endif
