/* SPDX-License-Identifier: Apache-2.0 */
/* One slot's life, and what may be done with it. */
#ifndef CKPT_AGENT_SLOT_H
#define CKPT_AGENT_SLOT_H

#include "agent/state.h"

const char *agent_slot_state_text(enum slot_state state);
void agent_slot_move(struct slot *slot, enum slot_state to);
/* What the coordinator is told of it. */
enum copy_state agent_copy_state(const struct slot *slot);
/* Its bytes are here, and wait for the number of their start. */
bool agent_slot_waits(const struct slot *slot);
/* It has a part of a shard for a reader: never a copy. */
bool agent_slot_is_range(const struct slot *slot);
/* The shard's slot; NONE: there is none. */
uint32_t agent_slot_live(const struct agent *a, const struct shard_key *shard);
/* Whatever keeps the slot's memory from being given away. */
bool agent_slot_is_held(const struct slot *slot);
/* Found to have changed since its first digest. */
bool agent_slot_is_bad(const struct slot *slot);
bool agent_slot_may_be_read_by_peer(const struct slot *slot);
bool agent_slot_may_be_loaned(const struct slot *slot);
/* What is lent may be in such a state by now. */
bool agent_slot_may_be_held(const struct slot *slot);
/* Something about the slot is new, or is asked for: it is reported now, until acknowledged. */
void agent_report_wanted(struct agent *a, uint32_t slot);
/* The copy does not count any more and its memory is freed when nothing holds it. The writer of a
 * FILLING slot holds it: what it still writes must not land in another shard. */
void agent_slot_doom(struct agent *a, uint32_t slot);
/* The rank has abandoned the slot, is gone, or has sealed a doomed one. */
void agent_slot_writer_gone(struct agent *a, uint32_t slot);
/* The digest is of this incarnation, over the memory as it is, under the key of that id: the copy
 * counts from now on. */
void agent_slot_verified(struct agent *a, uint32_t slot, const struct digest *digest,
                         uint64_t digest_key);
/* One load of the slot less. */
void agent_slot_unloan(struct agent *a, uint32_t slot);
/* Dooms cached copies that nobody has read for long. */
void agent_slots_expire(struct agent *a);
/* Frees the doomed that nothing holds. */
void agent_slots_free_pump(struct agent *a);
/* Slots are taken from the low end, so that what goes over them all goes over few. */
void agent_slots_lower(struct agent *a);

#endif
