/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's words, each to the file that it is for. */
#ifndef CKPT_AGENT_COORDINATOR_MESSAGE_H
#define CKPT_AGENT_COORDINATOR_MESSAGE_H

#include "agent/state.h"

void agent_coordinator_message(struct agent *a, const struct message *message);

#endif
