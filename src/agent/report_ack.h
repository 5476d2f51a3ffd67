/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator answers to a report. */
#ifndef CKPT_AGENT_REPORT_ACK_H
#define CKPT_AGENT_REPORT_ACK_H

#include "agent/state.h"

void agent_report_ack(struct agent *a, const struct message_shard_ack *ack);

#endif
