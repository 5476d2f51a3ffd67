/* SPDX-License-Identifier: Apache-2.0 */
/* A person's word on a checkpoint; and the way back out of quarantine. */
#ifndef CKPT_COORDINATOR_MARK_H
#define CKPT_COORDINATOR_MARK_H

#include "coordinator/state.h"

/* A quarantined checkpoint is offered again when every shard has a good copy. */
void offer_again_if_whole(struct coordinator *c, struct coordinator_update *u,
                          struct checkpoint *k);
/* By command: the person's word goes on record. */
void mark_checkpoint(struct coordinator *c, struct coordinator_update *u, struct checkpoint *k,
                     enum checkpoint_mark mark);

#endif
