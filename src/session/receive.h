/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: frames from the bytes that come. */
#ifndef CKPT_SESSION_RECEIVE_H
#define CKPT_SESSION_RECEIVE_H

#include "session/state.h"

/* Reads once; false when there was nothing to read. */
bool session_read(struct session *session);

void session_on_read(evutil_socket_t fd, short what, void *context);

/* After a pause: what it has. False: it has ended, or is about to. */
bool session_let_go(struct session *session);

#endif
