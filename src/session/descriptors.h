/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: descriptors that ride on a UNIX socket's bytes. */
#ifndef CKPT_SESSION_DESCRIPTORS_H
#define CKPT_SESSION_DESCRIPTORS_H

#include <sys/socket.h>

#include "session/state.h"

/* Makes the descriptors ride on the first bytes of the frame that is queued next, and takes them.
 * False: no memory, and they are closed. */
bool session_riders_add(struct session *session, const int *descriptors, uint32_t count);

/* The first of them have gone. */
void session_rider_drop(struct session *session);

/* Keeps the last of the descriptors that came with a message. */
void session_descriptor_keep(struct session *session, struct msghdr *message);

/* Closes those that wait to be sent or taken. */
void session_descriptors_close(struct session *session);

#endif
