/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoints go to the tier. */
#ifndef CKPT_COORDINATOR_PERSIST_RULE_H
#define CKPT_COORDINATOR_PERSIST_RULE_H

#include "coordinator/state.h"

/* The run's checkpoint that goes there next; NULL: none. */
struct checkpoint *coordinator_persist_choose(struct coordinator *c, const struct run *run);
/* The member that takes the shard there; NULL: none can now. */
struct member *coordinator_persist_member(struct coordinator *c, const struct shard *s);
/* The member may be told to take something there now. */
bool coordinator_persist_may_ask(const struct coordinator *c, const struct member *m);

#endif
