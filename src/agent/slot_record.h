/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a slot: in the machine, and in the arena, which keeps it over a restart. */
#ifndef CKPT_AGENT_SLOT_RECORD_H
#define CKPT_AGENT_SLOT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/limits.h"
#include "base/room.h"
#include "digest/digest.h"
#include "wire/key.h"

/* The state of a slot. Generations are drawn from one counter for all slots of the agent, so they
 * also say which of two records is the later. */
enum slot_state {
    SLOT_FREE = 0,
    SLOT_FILLING, /* a local rank writes */
    SLOT_SEALED,  /* complete; the owner's digest runs */
    SLOT_PULLING, /* the transport writes */
    SLOT_ADOPTED, /* found after a restart; a digest runs */
    SLOT_VERIFIED,
    SLOT_DIRTY, /* waits for readers to end, or for its segments to be renewed */
};

/* One slot's record: stored in the arena, and handed back at the next start. A FREE record has no
 * segments. What is stored as SLOT_ADOPTED or SLOT_VERIFIED is adopted alike. */
struct slot_record {
    uint32_t slot;
    enum slot_state state;
    uint64_t generation;
    struct shard_key shard; /* of the user whose bytes these are; attempt 0: an owner's, whose
                             * start has no number yet */
    struct nonce seat;      /* an owner's: of the process that wrote it */
    struct nonce name;      /* an owner's: of its start, by the launcher */
    uint32_t insisted;      /* an owner's: the attempt that the process insisted on, or 0 */
    uint32_t world;
    uint32_t copies;
    uint64_t bytes;
    bool owner;
    bool cached;
    bool has_digest;
    struct digest digest;
    uint64_t digest_key; /* id of the key that it is under */
    uint32_t segment_count;
    uint16_t segments[CKPT_SEGMENTS_PER_SHARD_MAX];
    struct room_part part; /* that its only id is of; of 0 bytes: its ids are of segments */
};

#endif
