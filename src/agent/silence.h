/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the coordinator answers. */
#ifndef CKPT_AGENT_SILENCE_H
#define CKPT_AGENT_SILENCE_H

#include "agent/state.h"

/* Whether what a process waits for can come at all: a coordinator has taken this node, and answers
 * its heartbeats. Else why not, and since when. */
bool agent_coordinator_answers(const struct agent *a, char reason_out[CKPT_REASON_MAX + 1]);
/* When its connection has been silent for too long to be any good. */
uint64_t agent_coordinator_silent_at_ms(const struct agent *a);

#endif
