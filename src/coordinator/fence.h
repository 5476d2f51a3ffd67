/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives a run that had to make room in the table. */
#ifndef CKPT_COORDINATOR_FENCE_H
#define CKPT_COORDINATOR_FENCE_H

#include "coordinator/state.h"

/* What is known of a run that was put out; NULL: nothing. */
const struct fence *coordinator_fence_find(const struct coordinator *c, const struct run_key *key);
/* Before the run is put out. */
void coordinator_fence_keep(struct coordinator *c, const struct run *run);
/* When the run comes into the table: what was kept of it. False: nothing. */
bool coordinator_fence_recall(struct coordinator *c, struct run *run);

#endif
