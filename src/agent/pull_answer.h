/* SPDX-License-Identifier: Apache-2.0 */
/* What a pull's source and its works answer. */
#ifndef CKPT_AGENT_PULL_ANSWER_H
#define CKPT_AGENT_PULL_ANSWER_H

#include "agent/state.h"

void agent_pull_renewed(struct agent *a, uint32_t slot, enum ckpt_status status);
void agent_pull_read_done(struct agent *a, uint32_t slot, const struct agent_event *event);
void agent_pull_message(struct agent *a, uint32_t link, const struct message *message);
/* The resolver has answered: from here on it is the peer who is asked. */
void agent_pull_peer_up(struct agent *a, uint32_t link);
void agent_pull_peer_down(struct agent *a, uint32_t link);

#endif
