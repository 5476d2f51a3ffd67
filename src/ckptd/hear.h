/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions say, each as an event of the machine: ranks on the UNIX socket, peers in both
 * directions, the coordinator. */
#ifndef CKPT_CKPTD_HEAR_H
#define CKPT_CKPTD_HEAR_H

#include "daemon/part.h"
#include "session/session.h"

/* Who hears peers and the coordinator where this agent connects. */
extern struct part part_hear;

/* Who hears at the doors; their context is the daemon. */
extern const struct session_events hear_ranks;
extern const struct session_events hear_peers;

#endif
