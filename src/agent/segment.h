/* SPDX-License-Identifier: Apache-2.0 */
/* Which segments a slot gets, and whose bytes a free segment still holds. */
#ifndef CKPT_AGENT_SEGMENT_H
#define CKPT_AGENT_SEGMENT_H

#include "agent/state.h"

/* Gives the slot count segments. False, and nothing changed: too few are free. *renew_out: the
 * slot's memory must be renewed before its user may see it. */
bool agent_segments_claim(struct agent *a, uint32_t slot, uint32_t count, bool *renew_out);
/* The segments that the rank's save after that of the list `after` (0: its next save) would get,
 * count of them, in their order. False: none that it knows of comes next. */
bool agent_segments_list(struct agent *a, const struct slot_owner *owner, uint32_t count,
                         uint64_t after, uint16_t *ids_out, uint64_t *generation_out);
/* Makes a list for the rank's save after those that have one already, of segments that it may have
 * as they are. False, and nothing changed: there are too few. */
bool agent_segments_prepare(struct agent *a, const struct slot_owner *owner, uint32_t count);
/* Gives the slot, which prepares, segments for the rank's save after those that have a list
 * already; to be renewed. False, and nothing changed: too few are free and nobody else's list. */
bool agent_segments_claim_ahead(struct agent *a, uint32_t slot, uint32_t count);
/* Bytes of free memory, of segments and parts, that the user's ranks await. */
uint64_t agent_awaited_bytes(const struct agent *a, uint32_t uid);
/* What the rank awaits is anybody's. */
void agent_awaited_forget(struct agent *a, const struct slot_owner *owner);
/* The slot's memory, of segments or a part, is free. */
void agent_segments_free_of(struct agent *a, uint32_t slot);
/* Not done: what is in the slot's memory stays unknown. */
void agent_segments_renewed(struct agent *a, uint32_t slot, bool done);
/* After a restart nobody knows whose bytes the free segments hold. */
void agent_segments_forget_users(struct agent *a);

#endif
