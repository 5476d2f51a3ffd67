/* SPDX-License-Identifier: Apache-2.0 */
/* The table of checkpoints: finding, adding, removing, and the one place where a state changes. */
#ifndef CKPT_COORDINATOR_CHECKPOINT_TABLE_H
#define CKPT_COORDINATOR_CHECKPOINT_TABLE_H

#include "coordinator/state.h"

/* The checkpoint of the step that was not aborted; NULL: there is none. */
struct checkpoint *coordinator_checkpoint_find_step(struct coordinator *c, const struct run *run,
                                                    uint64_t step);
/* The checkpoint of the attempt and step, in whichever state; NULL: there is none. */
struct checkpoint *coordinator_checkpoint_find(struct coordinator *c, const struct run *run,
                                               uint32_t attempt, uint64_t step);
/* The checkpoint leaves the table, and what was of it. */
void coordinator_checkpoint_remove(struct coordinator *c, struct checkpoint *k);
/* The one place where a checkpoint's state changes: what is open, and which runs retention has to
 * look at, is known without a search. */
void coordinator_checkpoint_set_state(struct coordinator *c, struct checkpoint *k,
                                      enum checkpoint_state state);
/* An open checkpoint; NULL: the table is full. */
struct checkpoint *coordinator_checkpoint_add(struct coordinator *c, struct run *run,
                                              uint32_t attempt, uint64_t step, uint32_t world);

#endif
