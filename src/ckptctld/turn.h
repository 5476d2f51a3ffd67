/* SPDX-License-Identifier: Apache-2.0 */
/* One event into the machine, its update out. The order of acting on an update is the contract with
 * the machine: persist, send, log, arm. While records are on their way the loop runs, and the
 * machine does not. */
#ifndef CKPT_CKPTCTLD_TURN_H
#define CKPT_CKPTCTLD_TURN_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

/* The loop, and the event of the machine's deadline. */
extern struct part part_turn;

/* Takes an event through the machine and does what the update says: at once, or, where there are
 * records, when they are durable. Then after_turn is called, unless it is NULL, with the update as
 * it was. Not to be called while a commit is under way. */
void turn_event(struct daemon *daemon, struct coordinator_event *event,
                void (*after_turn)(struct daemon *daemon));

#endif
