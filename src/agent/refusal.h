/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused on this node: counted, and told to the coordinator. */
#ifndef CKPT_AGENT_REFUSAL_H
#define CKPT_AGENT_REFUSAL_H

#include "agent/state.h"

void agent_refused(struct agent *a, enum event_id event, const struct shard_key *shard,
                   enum ckpt_status status, const char *reason);
void agent_refusals_fill(struct agent *a, struct message_heartbeat *heartbeat);

#endif
