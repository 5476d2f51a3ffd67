/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks that say that they hold the same state. */
#ifndef CKPT_COORDINATOR_REPLICA_H
#define CKPT_COORDINATOR_REPLICA_H

#include "coordinator/state.h"

/* What the owner's report says of what others hold alike. */
void coordinator_replica_note(struct checkpoint *k, struct shard *s,
                              const struct message_shard_report *r);
/* Before a commit of k: true, and k is aborted, when its ranks have diverged. O(world), as the
 * commit is. */
bool coordinator_replica_refuses(struct coordinator *c, struct checkpoint *k);

#endif
