/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's prepares: the memory that its saves to come will get, told before they come. */
#ifndef CKPT_AGENT_PREPARE_H
#define CKPT_AGENT_PREPARE_H

#include "agent/state.h"

void agent_prepare_ask(struct agent *a, uint32_t session, const struct message_prepare *ask);
/* The process has gone: nobody awaits what it was told of. */
void agent_prepare_session_ends(struct agent *a, uint32_t session);
/* Bytes of the newest shard of the session's rank and world that is here; 0: there is none. */
uint64_t agent_prepare_last_bytes(const struct agent *a, const struct rank_session *session);
/* Answers who asked, in the order of their asks, and has memory renewed where that must be. */
void agent_prepares_pump(struct agent *a);

#endif
