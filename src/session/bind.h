/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: an address that is taken. */
#ifndef CKPT_SESSION_BIND_H
#define CKPT_SESSION_BIND_H

#include "session/state.h"

/* Closes and unlinks. */
void listener_free(struct listener *listener);

#endif
