/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's orders to pull. */
#ifndef CKPT_AGENT_PULL_ORDER_H
#define CKPT_AGENT_PULL_ORDER_H

#include "agent/state.h"

void agent_pull_order(struct agent *a, const struct message_pull_order *order);

#endif
