/* SPDX-License-Identifier: Apache-2.0 */
/* Pulls: their states, how they begin and how they end. */
#ifndef CKPT_AGENT_PULL_H
#define CKPT_AGENT_PULL_H

#include "agent/state.h"

/* The source that the order names; not reached yet. */
struct pull_source agent_pull_source_of(const struct message_pull_order *order);
/* The order is one more that waits its turn. */
void agent_pull_enqueue(struct agent *a, const struct message_pull_order *order);
/* To the next state, now. */
void agent_pull_move(struct agent *a, struct pull *pull, enum pull_state to);
/* It has, or makes, a connection to its source. */
bool agent_pull_is_at_source(const struct pull *pull);
/* NULL: the slot is not pulled. */
struct pull *agent_pull_of_slot(struct agent *a, uint32_t slot);
/* NULL: nobody pulls the shard. */
struct pull *agent_pull_of_shard(struct agent *a, const struct shard_key *shard);
/* It has begun: not queued any more. */
uint32_t agent_pulls_under_way(const struct agent *a);
/* The source's bytes are offered: they are read. */
void agent_pull_read(struct agent *a, struct pull *pull);
/* The source's slot lasted to the end: the copy counts. */
void agent_pull_succeed(struct agent *a, struct pull *pull);
/* Nothing is reported of it. */
void agent_pull_drop(struct agent *a, struct pull *pull);
void agent_pull_fail(struct agent *a, struct pull *pull, enum ckpt_status status,
                     const char *reason);
/* Of a checkpoint that is given up. */
void agent_pulls_of_checkpoint_end(struct agent *a, const struct message_checkpoint_state *state);
void agent_pulls_pump(struct agent *a);

#endif
