/* SPDX-License-Identifier: Apache-2.0 */
/* One event through the machine, and what comes of it. */
#ifndef CKPT_CKPTD_TURN_H
#define CKPT_CKPTD_TURN_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

/* The loop, and the event of the machine's deadline. */
extern struct part part_turn;

/* Not to be called from what an update asks for: a turn never runs inside another. */
void turn_event(struct daemon *d, struct agent_event *event);

/* Ends the loop, in order: the coordinator hears that this agent stops. */
void daemon_leave(struct daemon *d);

#endif
