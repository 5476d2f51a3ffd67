/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: who is in, by the listener that let it in. */
#ifndef CKPT_SESSION_DOOR_H
#define CKPT_SESSION_DOOR_H

#include "session/state.h"

void door_enter(struct listener *listener, struct session *session);
void door_leave(struct session *session);

/* How long the session may be silent. */
uint32_t door_idle_ms(const struct session *session);

#endif
