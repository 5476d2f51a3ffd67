/* SPDX-License-Identifier: Apache-2.0 */
/* The file beside a shard, which says whose it is and what it must be. Pure. */
#ifndef CKPT_TIER_SIDECAR_H
#define CKPT_TIER_SIDECAR_H

#include "tier/tier.h"

/* A reader takes no more. */
#define SIDECAR_BYTES_MAX 4096

/* The text, for free(); NULL: no memory. */
char *sidecar_encode(const struct tier_checkpoint_key *key, const struct tier_shard *shard);

/* Reads a text that anybody may have written, and refuses one of another checkpoint or rank.
 * CKPT_ERR_CORRUPT. */
enum ckpt_status sidecar_decode(const char *text, size_t bytes,
                                const struct tier_checkpoint_key *key, uint32_t rank,
                                struct tier_shard *shard_out, char *reason_out);

#endif
