/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a shard for a reader, proven without the rest of it: from the copy that is here, or
 * fetched from another agent. */
#ifndef CKPT_AGENT_RANGE_H
#define CKPT_AGENT_RANGE_H

#include "agent/state.h"

/* It is for a part of a shard, which nothing has failed to prove yet. */
bool agent_range_is_asked(const struct load *load);
/* Where the bytes are, and what proves them: nothing is lent on that alone. */
void agent_range_verdict(struct agent *a, struct load *load,
                         const struct message_load_verdict *verdict);
/* The digest of a part of the slot's chunks, for whichever load it was, has ended. */
void agent_range_proven(struct agent *a, uint32_t slot, const struct agent_event *event);
/* What is under way for it is given up: it asks again, or ends. */
void agent_range_leave(struct agent *a, struct load *load);
/* Goes on with what can go on. False: no room for more in this turn. */
bool agent_range_drive(struct agent *a, struct load *load);

#endif
