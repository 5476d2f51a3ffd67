/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator decides about checkpoints. */
#ifndef CKPT_AGENT_CHECKPOINT_H
#define CKPT_AGENT_CHECKPOINT_H

#include "agent/state.h"

void agent_checkpoint_state(struct agent *a, const struct message_checkpoint_state *state);
/* The shard's checkpoint is consistent; of that world, or with 0 of any. */
void agent_checkpoint_consistent(struct agent *a, const struct shard_key *shard, uint32_t world);

#endif
