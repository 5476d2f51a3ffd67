/* SPDX-License-Identifier: Apache-2.0 */
/* How the agent stands to who starts it: a service manager, or a scheduler's hook for as long as
 * somebody needs it. */
#ifndef CKPT_CKPTD_LIFE_H
#define CKPT_CKPTD_LIFE_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

/* Ends the loop when nobody needs this agent any more. */
extern struct part part_life;
enum life_key { LIFE_IDLE_EXIT, LIFE_READY_FD, LIFE_KEYS };

/* Tells who waits for the start, where a descriptor was given for that, and closes it. */
void life_tell_starter(const struct config *config, const char *line);

/* Watches for the signals that end it until the loop does; whether one came before that. The second
 * in any thread. */
void life_watch_stop(void);
bool life_is_stopped(void);

#endif
