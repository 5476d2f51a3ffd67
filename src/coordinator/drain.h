/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are to go: they take no new copies, and what is kept there is made anew elsewhere. */
#ifndef CKPT_COORDINATOR_DRAIN_H
#define CKPT_COORDINATOR_DRAIN_H

#include "coordinator/state.h"

/* After members came, went, or began to drain: what counts of those that drain may have changed. */
void coordinator_drains_refresh(struct coordinator *c);
/* An open checkpoint that would be given up for the sake of a drain is not. False: it would be
 * given up without one as well. */
bool coordinator_drain_makes_do(struct coordinator *c, struct checkpoint *k);
/* A node that stays is short of room, and nobody has any to give. */
void coordinator_drains_give_way(struct coordinator *c);
/* A node that copies belong to and that has not joined yet is known by its name alone. */
void coordinator_node_drain(struct coordinator *c, const char *node);
/* The node takes copies again. */
void coordinator_node_undrain(struct coordinator *c, const char *node);
/* Where the tables have become too small for it, it is drained again by hand. */
enum ckpt_status coordinator_replay_drain(struct coordinator *c,
                                          const struct coordinator_record *record);
/* Who is safe, or is so no longer, is told to people. */
void coordinator_drains_tick(struct coordinator *c);

#endif
