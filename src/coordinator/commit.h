/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint becomes consistent, and what that makes superfluous is retired. */
#ifndef CKPT_COORDINATOR_COMMIT_H
#define CKPT_COORDINATOR_COMMIT_H

#include "coordinator/state.h"

/* The checkpoint becomes consistent, if the commit rule holds. */
void coordinator_commit_if_due(struct coordinator *c, struct checkpoint *k);
/* Open checkpoints without progress are given up; the others may have become ready. */
void coordinator_checkpoints_tick(struct coordinator *c);

#endif
