/* SPDX-License-Identifier: Apache-2.0 */
/* How far a checkpoint has come on its way to the tier. */
#ifndef CKPT_COORDINATOR_PERSIST_STATE_H
#define CKPT_COORDINATOR_PERSIST_STATE_H

#include "coordinator/state.h"

/* To a state that may follow upon the one it is in. */
void coordinator_persist_move(struct checkpoint *k, enum persist_state to);
/* None of its shards is known to be in the tier: they all are to go there. */
void coordinator_persist_begin(struct coordinator *c, struct checkpoint *k);
/* It is not to go there any more; what is there of it already stays. */
void coordinator_persist_give_up(struct coordinator *c, struct checkpoint *k);
/* It is on its way there, and its memory is kept for that. Where the tier is full or does not go
 * on, memory is not kept for it. */
bool coordinator_persist_holds(const struct coordinator *c, const struct checkpoint *k);

#endif
