/* SPDX-License-Identifier: Apache-2.0 */
/* What agents say of their copies: the only way in which anything becomes ready. */
#ifndef CKPT_COORDINATOR_REPORT_H
#define CKPT_COORDINATOR_REPORT_H

#include "coordinator/state.h"

/* An agent says what it has of a shard. */
void coordinator_on_shard_report(struct coordinator *c, uint32_t member,
                                 const struct message_shard_report *r);

#endif
