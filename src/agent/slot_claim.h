/* SPDX-License-Identifier: Apache-2.0 */
/* Slots for shards that come: whether there is room, and for whom. */
#ifndef CKPT_AGENT_SLOT_CLAIM_H
#define CKPT_AGENT_SLOT_CLAIM_H

#include "agent/state.h"

struct slot_claim {
    struct shard_key shard;
    const struct seat *seat; /* NULL: not a local rank's */
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
    uint64_t shard_bytes; /* of a part of it, which begins at chunk_first; else both 0 */
    uint64_t chunk_first;
    bool owner;
    bool cached;
    bool whole; /* segments alone: its process takes no parts */
};

/* Of a shard that has no part. */
uint64_t agent_slot_segments_needed(const struct agent *a, uint64_t bytes);
/* Whether a shard would get a slot, and its memory. */
bool agent_slot_has_room(const struct agent *a, uint64_t bytes, bool whole);
/* Takes a slot and its memory, and stores its record. The slot is in `state`, or in SLOT_DIRTY
 * for as long as its memory has to be renewed first. On an error nothing has changed, and reason
 * says what was short. */
enum ckpt_status agent_slot_claim(struct agent *a, const struct slot_claim *claim,
                                  enum slot_state state, uint32_t *slot_out,
                                  char reason[CKPT_REASON_MAX + 1]);

/* Takes a slot for no shard, and memory for a save of the claim's rank to come, that is renewed and
 * then free. False, and nothing changed: there is none beside what others wait for. */
bool agent_slot_claim_ahead(struct agent *a, const struct slot_claim *claim, uint32_t *slot_out);
/* Whether memory is renewed ahead now. */
bool agent_slot_is_ahead(const struct agent *a);

#endif
