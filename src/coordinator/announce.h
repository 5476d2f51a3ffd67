/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out of a checkpoint: to every agent, and on record. */
#ifndef CKPT_COORDINATOR_ANNOUNCE_H
#define CKPT_COORDINATOR_ANNOUNCE_H

#include "coordinator/state.h"

/* Every agent hears of the checkpoint's state. */
void coordinator_checkpoint_broadcast(struct coordinator *c, const struct checkpoint *k,
                                      enum checkpoint_state state);
/* The agents of its ranks put it into their logs; nothing else comes of it. */
void coordinator_checkpoint_tell_waiting(struct coordinator *c, const struct checkpoint *k);
/* A record about the checkpoint. */
struct coordinator_record *coordinator_checkpoint_record(struct coordinator *c,
                                                         const struct checkpoint *k,
                                                         enum coordinator_record_type type);

#endif
