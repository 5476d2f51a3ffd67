/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a session around a socket. */
#ifndef CKPT_SESSION_MAKE_H
#define CKPT_SESSION_MAKE_H

#include "session/state.h"

/* A session in the hub's tables; takes fd on success alone. With fd -1 it has no socket yet, and
 * session_take_socket gives it one; false: no memory, and fd stays the caller's. */
enum ckpt_status session_make(struct session_hub *hub, int fd, const struct session_events *events,
                              void *context, struct session **session_out);
bool session_take_socket(struct session *session, int fd);

#endif
