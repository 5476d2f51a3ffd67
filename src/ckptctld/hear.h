/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions say. */
#ifndef CKPT_CKPTCTLD_HEAR_H
#define CKPT_CKPTCTLD_HEAR_H

#include "session/session.h"

/* At the doors; their context is the daemon. */
extern const struct session_events hear_agents; /* over TCP, where ckptctl may speak as well */
extern const struct session_events hear_local;  /* over the UNIX socket: ckptctl alone */

#endif
