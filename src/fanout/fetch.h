/* SPDX-License-Identifier: Apache-2.0 */
/* A shard for all ranks of a group: by the group, else by each rank's own source; one verdict. */
#ifndef CKPT_FANOUT_FETCH_H
#define CKPT_FANOUT_FETCH_H

#include "fanout/state.h"

/* What ckpt_fanout_fetch does, for arguments that have been looked at. */
enum ckpt_status fetch_shard(struct ckpt_fanout *group, const struct fanout_source *source,
                             uint64_t step, uint32_t rank, uint32_t timeout_ms,
                             struct ckpt_fanout_shard *shard_out);

#endif
