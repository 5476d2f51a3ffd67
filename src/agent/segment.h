/* SPDX-License-Identifier: Apache-2.0 */
/* Which segments a slot gets, and whose bytes a free segment still holds. */
#ifndef CKPT_AGENT_SEGMENT_H
#define CKPT_AGENT_SEGMENT_H

#include "agent/state.h"

/* Gives the slot count segments. False, and nothing changed: too few are free. *renew_out: the
 * slot's memory must be renewed before its user may see it. */
bool agent_segments_claim(struct agent *a, uint32_t slot, uint32_t count, bool *renew_out);
/* The slot's memory, of segments or a part, is free. */
void agent_segments_free_of(struct agent *a, uint32_t slot);
/* Not done: what is in the slot's memory stays unknown. */
void agent_segments_renewed(struct agent *a, uint32_t slot, bool done);
/* After a restart nobody knows whose bytes the free segments hold. */
void agent_segments_forget_users(struct agent *a);

#endif
