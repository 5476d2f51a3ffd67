/* SPDX-License-Identifier: Apache-2.0 */
/* What was committed converges to as many good copies as its run asked for, in distinct domains. */
#ifndef CKPT_COORDINATOR_REPAIR_H
#define CKPT_COORDINATOR_REPAIR_H

#include "coordinator/place.h"

/* Nothing that is away is waited for any longer: another copy may be made. */
bool coordinator_repair_is_due(const struct coordinator *c, const struct shard *s,
                               const struct holders *h);
/* On record: where its copies belong now. */
void coordinator_shard_write_homes(struct coordinator *c, const struct shard *s);
/* On record before anything is freed: where the copies are now. False: there is no room for the
 * record in this turn. What an earlier version committed has no homes on record, and gets none. */
bool coordinator_shard_record_homes(struct coordinator *c, struct shard *s,
                                    const struct copy *without);
/* For a shard that has its copies: ends repairs, and lets go what is too many. False: there is more
 * to do than fits in this turn, or an agent has to answer first. */
bool coordinator_shard_let_surplus_go(struct coordinator *c, struct shard *s);

#endif
