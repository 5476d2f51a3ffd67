/* SPDX-License-Identifier: Apache-2.0 */
/* What processes that are gone have left without a name. */
#ifndef CKPT_TIER_POSIX_LEFT_H
#define CKPT_TIER_POSIX_LEFT_H

#include "tier/posix_place.h"

/* Writes a file as a shard is written, and so learns whether the file system takes O_DIRECT, and
 * what time it has; then removes what is older than options.stale_ms by that clock, is of no life
 * of ours, and is locked by nobody. 0, or the errno of what was written. */
int posix_left_probe(struct posix *posix);

#endif
