/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's gathers of its own memory into the slot that it fills. */
#ifndef CKPT_AGENT_GATHER_H
#define CKPT_AGENT_GATHER_H

#include "agent/state.h"

void agent_gather_ask(struct agent *a, uint32_t session, const struct message_gather *ask);
/* The slot's gather has ended so. */
void agent_gather_done(struct agent *a, uint32_t slot, enum ckpt_status status);

#endif
