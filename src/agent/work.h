/* SPDX-License-Identifier: Apache-2.0 */
/* The works over a slot's memory, one at a time: begun and cancelled. work_done.h: their ends. */
#ifndef CKPT_AGENT_WORK_H
#define CKPT_AGENT_WORK_H

#include "agent/state.h"

/* The slot whose work has that number, under way; NONE: there is none. */
uint32_t agent_work_find(const struct agent *a, uint64_t work);
/* Of the rank's memory, into the slot that it fills. False: no room in the update. */
bool agent_work_gather_start(struct agent *a, uint32_t slot, uint32_t link);
/* Of the source's memory, as the offer of this event says. False: no room in the update. */
bool agent_work_read_start(struct agent *a, uint32_t slot, uint32_t link);
/* The digest of some chunks of a verified slot, which ends in agent_load_proven(): its number. 0:
 * the slot has a work, or too many are digested; to be tried again in a later turn. */
uint64_t agent_work_prove_start(struct agent *a, uint32_t slot, uint64_t chunk_first,
                                uint64_t chunk_count);
/* The digest of a verified slot that nobody asked for, and that stands back for others for so long;
 * it ends in agent_scrub_done(). False: too many are digested, or no room in the update. */
bool agent_work_scrub_start(struct agent *a, uint32_t slot, uint64_t patience_ms);
/* Cancels, renews and digests, as slots are marked. */
void agent_works_pump(struct agent *a);

#endif
