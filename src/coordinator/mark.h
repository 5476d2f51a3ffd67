/* SPDX-License-Identifier: Apache-2.0 */
/* A person's word on a checkpoint; and the way back out of quarantine. */
#ifndef CKPT_COORDINATOR_MARK_H
#define CKPT_COORDINATOR_MARK_H

#include "coordinator/state.h"

/* A quarantined checkpoint is offered again when every shard has a good copy. */
void coordinator_offer_again_if_whole(struct coordinator *c, struct checkpoint *k);
/* By command: the person's word goes on record. */
void coordinator_mark_checkpoint(struct coordinator *c, struct checkpoint *k,
                                 enum checkpoint_mark mark);

#endif
