/* SPDX-License-Identifier: Apache-2.0 */
/* The table of pulls, and their states. */
#ifndef CKPT_AGENT_PULL_TABLE_H
#define CKPT_AGENT_PULL_TABLE_H

#include "agent/state.h"

/* The source that the order names; not reached yet. */
struct pull_source agent_pull_source_of(const struct message_pull_order *order);
/* The order is one more that waits its turn. */
void agent_pull_enqueue(struct agent *a, const struct message_pull_order *order);
/* A part of the shard, for the load of that index, is one more. Its number; 0: there are too many,
 * and it is not. */
uint64_t agent_pull_enqueue_range(struct agent *a, const struct message_pull_order *order,
                                  uint32_t load);
/* To the next state, now. */
void agent_pull_move(struct agent *a, struct pull *pull, enum pull_state to);
/* It has, or makes, a connection to its source. */
bool agent_pull_is_at_source(const struct pull *pull);
/* NULL: the slot is not pulled. */
struct pull *agent_pull_of_slot(struct agent *a, uint32_t slot);
/* That of the load's range; NULL: there is none. */
struct pull *agent_pull_of_load(struct agent *a, const struct load *load);
/* NULL: nobody pulls the whole shard. */
struct pull *agent_pull_of_shard(struct agent *a, const struct shard_key *shard);
/* It has begun: not queued any more. */
uint32_t agent_pulls_under_way(const struct agent *a);

#endif
