/* SPDX-License-Identifier: Apache-2.0 */
/* What one user may have of the tables. */
#ifndef CKPT_COORDINATOR_SHARE_H
#define CKPT_COORDINATOR_SHARE_H

#include "coordinator/state.h"

/* A run comes into the table, or leaves it. */
void coordinator_share_run(struct coordinator *c, struct run *run, bool is_there);
/* Whether the checkpoint counts from now on. */
void coordinator_share_checkpoint(struct coordinator *c, struct checkpoint *k, bool counts);
/* Whether the user may have another run. */
bool coordinator_share_lets_begin(const struct coordinator *c, uint32_t uid);
/* What is said where coordinator_run_add() finds no room. */
const char *coordinator_run_no_room(void);
/* Whether the user may have another checkpoint of so many shards; reason says why not. */
bool coordinator_share_lets_open(const struct coordinator *c, uint32_t uid, uint32_t world,
                                 char *reason);
/* Whether the user has more in the tables than the other. */
bool coordinator_share_is_larger(const struct coordinator *c, uint32_t uid, uint32_t than);
/* A run that has nothing yet may have all that is left of a node, unless the user's other runs hold
 * as much of it already as one user's may. */
bool coordinator_share_lets_settle(struct coordinator *c, uint32_t member, uint32_t uid,
                                   char *reason);

#endif
