/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between two agents. docs/protocol.md tells when each is sent. */
#ifndef CKPT_WIRE_MESSAGE_PEER_H
#define CKPT_WIRE_MESSAGE_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/limits.h"
#include "wire/key.h"
#include <ckpt/status.h>

struct message_offer_ask {
    uint64_t pull; /* the puller's number of this pull, echoed */
    struct shard_key shard;
    struct incarnation source_incarnation; /* refused when it is not the source's own */
    uint64_t generation;                   /* refused when the slot's differs */
    uint64_t values_key; /* the shard's chunk values under the key of this id are wanted; 0: none */
};

struct message_region {
    uint32_t bytes;
    const uint8_t *descriptor; /* at most CKPT_DESCRIPTOR_MAX */
};

/* The regions are filled in by the daemon: the machine knows only the slot. */
struct message_offer {
    uint64_t pull;
    enum ckpt_status status;
    char reason[CKPT_REASON_MAX + 1];
    uint32_t slot;
    uint64_t generation;
    uint64_t bytes;
    uint64_t segment_bytes;
    uint32_t worker_address_bytes;
    const uint8_t *worker_address; /* the transport's; this and the next in the decoder's buffer, or
                                    * the sender's */
    uint32_t region_count;
    const struct message_region *regions; /* one a segment, in the shard's order */
    uint32_t values_bytes;                /* 0: not asked for, not kept, or too many */
    const uint8_t *values;                /* of all chunks, 16 bytes each, in the shard's order */
};

struct message_offer_done {
    uint64_t pull;
    uint32_t slot;
    uint64_t generation;
};

/* CKPT_OK: the slot kept its generation for as long as the pull ran. */
struct message_offer_closed {
    uint64_t pull;
    enum ckpt_status status;
};

#endif
