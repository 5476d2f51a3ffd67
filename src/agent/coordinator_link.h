/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's connection: joining, living, and whose word is taken. */
#ifndef CKPT_AGENT_COORDINATOR_LINK_H
#define CKPT_AGENT_COORDINATOR_LINK_H

#include "agent/state.h"

void agent_coordinator_up(struct agent *a, const char *address);
void agent_coordinator_down(struct agent *a);
/* The agent ends in order: it is known to have stopped, and not lost. */
void agent_coordinator_stop(struct agent *a);
/* Whether the message is the ruling coordinator's. */
bool agent_coordinator_rules(struct agent *a, const struct message *message);
/* A WELCOME that may be taken. */
void agent_coordinator_welcome(struct agent *a, const struct message_welcome *welcome);
void agent_coordinator_pump(struct agent *a);

#endif
