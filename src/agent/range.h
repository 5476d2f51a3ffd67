/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a shard that is held here, proven without the rest of it. */
#ifndef CKPT_AGENT_RANGE_H
#define CKPT_AGENT_RANGE_H

#include "agent/state.h"

/* It is for a part of a shard, which nothing has failed to prove yet. */
bool agent_range_is_asked(const struct load *load);
/* The slot here whose chunks can prove the range, as the verdict describes it; NONE: there is none.
 * The run's key is known from now on. */
uint32_t agent_range_slot(struct agent *a, const struct load *load,
                          const struct message_load_verdict *verdict);
/* The range's digest is begun, where it was not and may be. False: the slot is lent, but its bytes
 * may not be handed out any more. */
bool agent_range_prove(struct agent *a, struct load *load);

#endif
