/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the process at the other end of a UNIX socket. */
#ifndef CKPT_SESSION_PROCESS_H
#define CKPT_SESSION_PROCESS_H

#include <sys/types.h>

#include "session/state.h"

/* Ends the session when the peer's process ends. */
void session_watch_process(struct session *session, pid_t pid);

/* It has: takes what it said, and ends the session, after the pause where there is one. */
void session_process_ended(struct session *session);

#endif
