/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a node that is to go may go: what is kept there alone, and what it waits for. */
#ifndef CKPT_COORDINATOR_DRAIN_VIEW_H
#define CKPT_COORDINATOR_DRAIN_VIEW_H

#include "coordinator/state.h"

/* Nothing is kept on the member alone: it may go. */
bool coordinator_drain_is_safe(const struct coordinator *c, uint32_t member);

#endif
