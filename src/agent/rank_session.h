/* SPDX-License-Identifier: Apache-2.0 */
/* One process at the local socket: who it says it is, and that its words are in order. */
#ifndef CKPT_AGENT_RANK_SESSION_H
#define CKPT_AGENT_RANK_SESSION_H

#include "agent/state.h"

void agent_rank_up(struct agent *a, uint32_t link, uint32_t uid);
void agent_rank_down(struct agent *a, uint32_t link);
void agent_rank_message(struct agent *a, uint32_t link, const struct message *message);

#endif
