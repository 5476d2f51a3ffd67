/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's orders to pull. */
#ifndef CKPT_AGENT_PULL_ORDER_H
#define CKPT_AGENT_PULL_ORDER_H

#include "agent/state.h"

/* What is wrong with it, or with its source; NULL: nothing. */
const char *agent_pull_order_fault(const struct agent *a, const struct message_pull_order *order);
void agent_pull_order(struct agent *a, const struct message_pull_order *order);

#endif
