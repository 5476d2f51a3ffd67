/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: where sessions come from. */
#ifndef CKPT_SESSION_LISTEN_H
#define CKPT_SESSION_LISTEN_H

#include "session/state.h"

/* Accepts what waits; false when more may. */
bool listener_accept(struct listener *listener);

/* Accepts from the loop on; false: no memory. */
bool listener_serve(struct listener *listener);

#endif
