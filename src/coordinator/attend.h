/* SPDX-License-Identifier: Apache-2.0 */
/* What a shard needs next: more copies, a digest, or nothing. */
#ifndef CKPT_COORDINATOR_ATTEND_H
#define CKPT_COORDINATOR_ATTEND_H

#include "coordinator/state.h"

/* Decides for as many shards of the queue as fit in a turn. */
void coordinator_attend(struct coordinator *c);

#endif
