/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: who may come in. */
#ifndef CKPT_SESSION_ADMIT_H
#define CKPT_SESSION_ADMIT_H

#include "session/state.h"

/* Whether one more may be accepted; others may have ended for it. */
bool door_admits(struct listener *listener, bool is_local, uint32_t uid);

#endif
