/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent hears of its report. */
#ifndef CKPT_COORDINATOR_REPORT_ACK_H
#define CKPT_COORDINATOR_REPORT_ACK_H

#include "coordinator/state.h"

/* The answer to a report of a copy of k; NULL: of none that is known. keep goes with CKPT_OK, and
 * with it the run's key where the copy is not proven with that. */
void coordinator_report_ack(struct coordinator *c, uint32_t member,
                            const struct message_shard_report *r, const struct checkpoint *k,
                            enum ckpt_status status, const char *reason);
/* The report is refused, and people may see why. */
void coordinator_report_refuse(struct coordinator *c, uint32_t member,
                               const struct message_shard_report *r,
                               enum checkpoint_state checkpoint, enum ckpt_status status,
                               const char *reason);

#endif
