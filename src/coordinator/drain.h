/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are to go: they take no new copies, and what is kept there is made anew elsewhere. */
#ifndef CKPT_COORDINATOR_DRAIN_H
#define CKPT_COORDINATOR_DRAIN_H

#include "coordinator/state.h"

/* After members came, went, or began to drain: what counts of those that drain may have changed. */
void drains_refresh(struct coordinator *c);
/* An open checkpoint that would be given up for the sake of a drain is not. False: it would be
 * given up without one as well. */
bool drain_makes_do(struct coordinator *c, struct checkpoint *k);
/* A node that stays is short of room, and nobody has any to give. */
void drains_give_way(struct coordinator *c);
/* A node that copies belong to and that has not joined yet is known by its name alone. */
void node_drain(struct coordinator *c, struct coordinator_update *u, const char *node);
/* The node takes copies again. */
void node_undrain(struct coordinator *c, struct coordinator_update *u, const char *node);
/* Where the tables have become too small for it, it is drained again by hand. */
enum ckpt_status replay_drain(struct coordinator *c, struct coordinator_update *u,
                              const struct coordinator_record *record);
/* Who is safe, or is so no longer, is told to people. */
void drains_tick(struct coordinator *c, struct coordinator_update *u);

#endif
