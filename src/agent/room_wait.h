/* SPDX-License-Identifier: Apache-2.0 */
/* Saves that find no room, and wait for what other nodes may take over. */
#ifndef CKPT_AGENT_ROOM_WAIT_H
#define CKPT_AGENT_ROOM_WAIT_H

#include "agent/state.h"

/* Whether the save waits from now on: the coordinator is there to make room. */
bool agent_room_wait_begin(struct agent *a, uint32_t session, const struct message_slot_ask *ask);
void agent_room_waits_pump(struct agent *a);

#endif
