/* SPDX-License-Identifier: Apache-2.0 */
/* Which step a load restores. */
#ifndef CKPT_COORDINATOR_RESTORE_CHOOSE_H
#define CKPT_COORDINATOR_RESTORE_CHOOSE_H

#include "coordinator/state.h"

/* Whether a good copy of the shard may be on a node that has not told all that it holds; nodes_out
 * (CKPT_REASON_MAX + 1 bytes) names those. */
bool coordinator_shard_is_away(const struct coordinator *c, const struct shard *s, char *nodes_out);
/* A pass over the sources of a shard found none. What is away or being digested is waited for, for
 * as long as the load lasts. Else, after the last pass, the checkpoint is given up for an older
 * one. Where none is whole either, and any node is away, the load fails and nothing is given up: to
 * start over is for a person to decide. */
void coordinator_restore_pass_failed(struct coordinator *c, struct run *run, struct checkpoint *k,
                                     uint32_t rank);
/* Chooses the step of a load, or ends it, or leaves it waiting. */
void coordinator_restore_choose(struct coordinator *c, struct run *run);

#endif
