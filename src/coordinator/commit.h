/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint becomes consistent, and what that makes superfluous is retired. */
#ifndef CKPT_COORDINATOR_COMMIT_H
#define CKPT_COORDINATOR_COMMIT_H

#include "coordinator/state.h"

/* The checkpoint becomes consistent, if the commit rule holds. */
void commit_if_due(struct coordinator *c, struct coordinator_update *u, struct checkpoint *k);
/* Open checkpoints without progress are given up; the others may have become ready. */
void checkpoints_tick(struct coordinator *c, struct coordinator_update *u);

#endif
