/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what is queued goes out. */
#ifndef CKPT_SESSION_FLUSH_H
#define CKPT_SESSION_FLUSH_H

#include "session/state.h"

/* What the loop does for a scheduled session. */
void session_flush(struct session *session);

void session_on_write(evutil_socket_t fd, short what, void *context);

#endif
