/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of segments, for small shards. */
#ifndef CKPT_AGENT_PART_H
#define CKPT_AGENT_PART_H

#include "agent/state.h"

/* Of the segment or part with that id. */
struct segment *agent_memory(const struct agent *a, uint16_t id);
/* Bytes of the part that a shard of so many bytes has; 0: it has segments. */
uint64_t agent_part_bytes(const struct agent *a, uint64_t bytes);
/* Bytes of memory that a shard of so many bytes takes. */
uint64_t agent_room_bytes(const struct agent *a, uint64_t bytes);
/* Of the slot's memory; of 0 bytes: it has segments, or none. */
struct room_part agent_slot_part(const struct agent *a, const struct slot *slot);
/* Bytes of memory that the slot has. */
uint64_t agent_slot_room(const struct agent *a, const struct slot *slot);
/* Whether a shard that needs such a part would get one. */
bool agent_part_fits(const struct agent *a, uint64_t bytes);
/* Free bytes of segments with parts in use, and the largest part that they have room for. */
void agent_parts_room(const struct agent *a, uint64_t *free_out, uint64_t *largest_out);
/* The segment is somebody's, whole: parts of it that were kept are none any more. */
void agent_parts_forget(struct agent *a, uint32_t segment);
/* Gives the slot a part of so many bytes. False, and nothing changed: there is no room.
 * *renew_out: it has to be made before its user may see it. */
bool agent_part_claim(struct agent *a, uint32_t slot, uint64_t bytes, bool *renew_out);
/* The part of so many bytes that the rank's save after that of the part `after` (0: its next save)
 * would get. False: none that it knows of comes next. */
bool agent_part_next(struct agent *a, const struct slot_owner *owner, uint64_t bytes,
                     uint64_t after, uint16_t *id_out, uint64_t *generation_out);
/* Has the rank await a part of its own or its user's, that no rank awaits, for the save after those
 * that have one already. False: there is none. */
bool agent_part_prepare(struct agent *a, const struct slot_owner *owner, uint64_t bytes);
/* Gives the slot, which prepares, a new part, to be made. False, and nothing changed: there is no
 * room beside what ranks await. */
bool agent_part_claim_ahead(struct agent *a, uint32_t slot, uint64_t bytes);
/* Whether a rank awaits a part in the segment. */
bool agent_part_is_awaited_in(const struct agent *a, uint32_t segment);
/* The part is in no use, and stays for the next one. */
void agent_part_free(struct agent *a, uint16_t id);
/* Whether what a record claims can be. */
bool agent_part_may_be_adopted(const struct agent *a, const struct slot_record *record);
/* The slot has the record's part, which may be adopted. */
void agent_part_adopt(struct agent *a, uint32_t slot, const struct slot_record *record);

#endif
