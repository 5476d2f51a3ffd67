/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator is told of each copy, until it has acknowledged just that. */
#ifndef CKPT_AGENT_REPORT_H
#define CKPT_AGENT_REPORT_H

#include "agent/state.h"

/* The answer to an order about a copy that is not here. */
void agent_report_absent(struct agent *a, const struct shard_key *shard, uint64_t generation,
                         uint64_t order);
void agent_reports_pump(struct agent *a);
/* What the coordinator knows when it knows all that reports tell. */
uint64_t agent_inventory(const struct agent *a);

#endif
