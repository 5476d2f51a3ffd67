/* SPDX-License-Identifier: Apache-2.0 */
/* Pulls that failed: told until nobody asks, and not tried again. */
#ifndef CKPT_AGENT_PULL_FAILURE_H
#define CKPT_AGENT_PULL_FAILURE_H

#include "agent/state.h"

void agent_pull_fail_order(struct agent *a, const struct message_pull_order *order, uint64_t life,
                           enum ckpt_status status, const char *reason);
/* Whether the order has failed already: it is told again. */
bool agent_pull_failed_before(struct agent *a, uint64_t order, uint64_t life);
void agent_failures_pump(struct agent *a);

#endif
