/* SPDX-License-Identifier: Apache-2.0 */
/* Slots offered to peers, and pinned while they read. */
#ifndef CKPT_AGENT_SOURCE_H
#define CKPT_AGENT_SOURCE_H

#include "agent/state.h"

void agent_source_message(struct agent *a, uint32_t link, const struct message *message);
void agent_source_peer_down(struct agent *a, uint32_t link);
/* Pins that have not been heard of for long end. */
void agent_source_expire(struct agent *a);

#endif
