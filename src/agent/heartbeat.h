/* SPDX-License-Identifier: Apache-2.0 */
/* That this agent lives, and what it holds in sum. */
#ifndef CKPT_AGENT_HEARTBEAT_H
#define CKPT_AGENT_HEARTBEAT_H

#include "agent/state.h"

/* The one that is due: what may have been lost is said again with it. */
void agent_heartbeat(struct agent *a);
/* A shard may wait for room: it is told at once, not with the next heartbeat. */
void agent_room_pump(struct agent *a);

#endif
