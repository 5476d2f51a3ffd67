/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_MOVER_FEED_PEER_H
#define CKPT_MOVER_FEED_PEER_H

#include "mover/feed.h"

/* WORK_READ: a shard of another agent, in whole chunks, over the way to that agent. */
extern const struct feed feed_peer;

#endif
