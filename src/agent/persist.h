/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to take a shard to the tier, or to say there that a checkpoint is whole. */
#ifndef CKPT_AGENT_PERSIST_H
#define CKPT_AGENT_PERSIST_H

#include "agent/state.h"

void agent_persist_order(struct agent *a, const struct message_persist_order *order);
void agent_manifest_order(struct agent *a, const struct message_manifest_order *order);
/* A work for the tier has ended. False: the event is of none. */
bool agent_persist_done(struct agent *a, const struct agent_event *event);
/* Begins what was ordered, tells what has ended. */
void agent_persists_pump(struct agent *a);

#endif
