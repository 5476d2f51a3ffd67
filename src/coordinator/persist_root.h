/* SPDX-License-Identifier: Apache-2.0 */
/* One value over what agents told of all shards that they took to the tier. */
#ifndef CKPT_COORDINATOR_PERSIST_ROOT_H
#define CKPT_COORDINATOR_PERSIST_ROOT_H

#include "coordinator/state.h"

/* As message_manifest_order has it: who writes the manifest finds the same in the tier, or refuses.
 * Every shard is there. */
void coordinator_persist_root(const struct coordinator *c, const struct checkpoint *k,
                              struct digest *root_out);

#endif
