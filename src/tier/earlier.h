/* SPDX-License-Identifier: Apache-2.0 */
/* A shard that the tier has already, from an earlier step of the run. */
#ifndef CKPT_TIER_EARLIER_H
#define CKPT_TIER_EARLIER_H

#include "tier/state.h"

/* Looks at the rank's sidecar of the newest earlier checkpoint; where it has the digest that is on
 * record for source, of the same key and size, its file gets a second name in key's checkpoint.
 *
 * RETURN VALUE
 * True, and *shard has all of its row. False: it is to be written; why does not matter. */
bool earlier_link(struct tier *tier, const struct shard_key *key,
                  const struct tier_shard_source *source, struct tier_shard *shard);

#endif
