/* SPDX-License-Identifier: Apache-2.0 */
/* A group of fan-out whose ranks are threads of this process: the product's own, but for the
 * agents, in whose place there is a shard in memory. */
#ifndef CKPTBENCH_CASE_FANOUT_GROUP_H
#define CKPTBENCH_CASE_FANOUT_GROUP_H

#include <stdint.h>

#include "fanout/plan.h"

#define GROUP_RANKS_MAX 64

struct group_options {
    uint32_t ranks;
    uint32_t senders;
    uint32_t road;  /* enum ckpt_fanout_road */
    uint32_t shape; /* enum fanout_shape */
    uint32_t digest_kind;
    uint64_t piece_bytes;
    uint64_t link_bytes_s; /* what a rank sends at most; 0: as it goes */
    const uint8_t *shard;  /* of group_shard */
    uint64_t bytes;
    const uint8_t *digest;
};

/* Makes what is there a safetensors file of its length, and its digest. */
void group_shard(uint8_t *shard, uint64_t bytes, uint8_t digest_out[32]);

/* Brings the shard to all, and compares what came. *seconds_out: from the first rank's call to the
 * last one's return. CKPT_ERR_LINK: some rank had to ask its own source. */
enum ckpt_status group_run(const struct group_options *options, double *seconds_out, char *reason);

#endif
