/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's loads: asked of the coordinator until it has a verdict, handed out, released. */
#ifndef CKPT_AGENT_LOAD_H
#define CKPT_AGENT_LOAD_H

#include "agent/state.h"

void agent_load_ask(struct agent *a, uint32_t session, const struct message_load_ask *ask);
/* What a load waits for. */
void agent_load_waits(struct agent *a, const struct message_load_waits *waits);
void agent_load_verdict(struct agent *a, const struct message_load_verdict *verdict);
void agent_load_release(struct agent *a, uint32_t session, const struct message_release *release);
/* A rank that saves, or asks for its next load, no longer waits for an earlier one. */
void agent_load_give_up(struct agent *a, uint32_t session, uint32_t but_load);
/* Its process is gone. */
void agent_load_session_ends(struct agent *a, uint32_t session);
void agent_loads_pump(struct agent *a);

#endif
