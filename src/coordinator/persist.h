/* SPDX-License-Identifier: Apache-2.0 */
/* What is consistent goes to the tier: who takes which shard there. */
#ifndef CKPT_COORDINATOR_PERSIST_H
#define CKPT_COORDINATOR_PERSIST_H

#include "coordinator/state.h"

/* An agent has carried an order out, or could not. */
void coordinator_on_persist_told(struct coordinator *c, uint32_t member,
                                 const struct message_persist_told *told);
/* What is due is begun, what goes on is ordered, what was not answered is ordered again. */
void coordinator_persist_tick(struct coordinator *c);

#endif
