/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: what carries the bytes of a session. A kind is a row of functions; a session
 * asks for nothing else. */
#ifndef CKPT_SESSION_CHANNEL_H
#define CKPT_SESSION_CHANNEL_H

#include "session/state.h"

struct session_channel {
    const char *name;

    /* Reads once, at most room bytes. What came; 0: the peer has closed; -1 and errno, EAGAIN when
     * nothing has come. A descriptor that came with it is kept for session_take_descriptor(). */
    ssize_t (*read)(struct session *session, void *space, size_t room);

    /* Writes once, from the front of the session's output, which is not drained. What went; -1 and
     * errno, EAGAIN when nothing can go. */
    ssize_t (*write)(struct session *session);

    /* What it waits for to go on with what it was asked for: EV_READ, EV_WRITE, or both. */
    short (*want)(const struct session *session);

    /* Once, at the end: closes the socket, if there is one yet, and what waits to be sent or taken
     * along with bytes. */
    void (*close)(struct session *session);
};

/* The bytes as they are. */
extern const struct session_channel session_channel_plain;

#endif
