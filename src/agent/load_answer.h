/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is told of its loads. */
#ifndef CKPT_AGENT_LOAD_ANSWER_H
#define CKPT_AGENT_LOAD_ANSWER_H

#include "agent/state.h"

void agent_load_refuse(struct agent *a, uint32_t session, uint32_t load, enum ckpt_status status,
                       const char *reason);
/* The memory of what is lent to it goes with the answer. */
void agent_load_hand_out(struct agent *a, const struct load *load);

#endif
