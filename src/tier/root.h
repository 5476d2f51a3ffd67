/* SPDX-License-Identifier: Apache-2.0 */
/* One value for all shards of a checkpoint, so that who orders a manifest need not tell their rows.
 *
 * BLAKE3 over rank (u32), bytes (u64), both little-endian, and BLAKE3 (32 bytes) of each shard, in
 * the order of ranks. Pure; any thread. */
#ifndef CKPT_TIER_ROOT_H
#define CKPT_TIER_ROOT_H

#include "digest/digest.h"

struct tier_root {
    struct digest_stream stream;
};

void tier_root_begin(struct tier_root *root);
void tier_root_add(struct tier_root *root, uint32_t rank, uint64_t bytes,
                   const struct digest *blake3);
void tier_root_final(const struct tier_root *root, struct digest *root_out);

#endif
