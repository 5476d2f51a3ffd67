/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's orders to digest a copy again. */
#ifndef CKPT_AGENT_VERIFY_ORDER_H
#define CKPT_AGENT_VERIFY_ORDER_H

#include "agent/state.h"

void agent_verify_order(struct agent *a, const struct message_verify_order *order);

#endif
