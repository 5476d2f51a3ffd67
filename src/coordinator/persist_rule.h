/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoints go to the tier. */
#ifndef CKPT_COORDINATOR_PERSIST_RULE_H
#define CKPT_COORDINATOR_PERSIST_RULE_H

#include "coordinator/state.h"

/* The run's checkpoint that goes there next; NULL: none. */
struct checkpoint *coordinator_persist_choose(struct coordinator *c, const struct run *run);
/* What whoever waits for it hears; k: of that attempt and step, NULL where it is in no table. */
enum checkpoint_tier coordinator_persist_word(const struct coordinator *c, const struct run *run,
                                              uint32_t attempt, uint64_t step,
                                              const struct checkpoint *k);
/* The member that takes the shard there; NULL: none can now. */
struct member *coordinator_persist_member(struct coordinator *c, const struct shard *s);
/* The member may be told to take something there now. */
bool coordinator_persist_may_ask(const struct coordinator *c, const struct member *m);

#endif
