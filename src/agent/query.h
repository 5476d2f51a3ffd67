/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's question about a checkpoint, passed on to the coordinator and back. */
#ifndef CKPT_AGENT_QUERY_H
#define CKPT_AGENT_QUERY_H

#include "agent/state.h"

void agent_query_ask(struct agent *a, uint32_t session, const struct message_checkpoint_ask *ask);
void agent_query_info(struct agent *a, const struct message_checkpoint_info *info);
void agent_queries_pump(struct agent *a);

#endif
