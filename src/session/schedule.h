/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what the loop is to do with a session. */
#ifndef CKPT_SESSION_SCHEDULE_H
#define CKPT_SESSION_SCHEDULE_H

#include "session/state.h"

/* The loop will write its output, or end it. */
void session_schedule(struct session *session);

/* In a pause: it has something to say, or to end with. */
void session_hold(struct session *session);

#endif
