/* SPDX-License-Identifier: Apache-2.0 */
/* The file that makes a checkpoint. Pure. */
#ifndef CKPT_TIER_MANIFEST_H
#define CKPT_TIER_MANIFEST_H

#include "tier/tier.h"

/* A reader takes no more: the largest world's rows have room in it. */
#define MANIFEST_BYTES_MAX (UINT64_C(64) << 20)

/* The text, for free(); NULL: no memory. */
char *manifest_encode(const struct tier_manifest *manifest);

/* Reads a text that anybody may have written. Refuses one of another checkpoint, whose rows are not
 * those of all ranks in their order, or whose root is not that of its rows. For
 * tier_manifest_free().
 *
 * ERRORS
 * - CKPT_ERR_CORRUPT, CKPT_ERR_MEMORY
 * - CKPT_ERR_VERSION - of a later ckptd */
enum ckpt_status manifest_decode(const char *text, size_t bytes,
                                 const struct tier_checkpoint_key *key,
                                 struct tier_manifest **manifest_out, char *reason_out);

#endif
