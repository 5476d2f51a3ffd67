/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's orders to let a copy go, or to call a pull off. */
#ifndef CKPT_AGENT_LET_GO_H
#define CKPT_AGENT_LET_GO_H

#include "agent/state.h"

void agent_let_go(struct agent *a, const struct message_let_go *order);

#endif
