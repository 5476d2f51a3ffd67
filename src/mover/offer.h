/* SPDX-License-Identifier: Apache-2.0 */
/* A MESSAGE_OFFER on its way from the loop to the mover, which fills in where the bytes lie, and
 * back. Its regions and address are in its own memory. */
#ifndef CKPT_MOVER_OFFER_H
#define CKPT_MOVER_OFFER_H

#include "wire/message.h"

struct offer_reply {
    struct offer_reply *next; /* of the list it is in */
    uint32_t link;            /* of the peer that asked */
    struct message message;
    uint32_t segment_count;
    uint16_t segments[CKPT_SEGMENTS_PER_SHARD_MAX];
    uint8_t address[CKPT_WORKER_ADDRESS_MAX];
    struct message_region *regions;
    uint8_t (*descriptors)[CKPT_DESCRIPTOR_MAX];
    uint8_t *values; /* of the shard's chunks; NULL: none are told */
};

struct offer_reply *offer_reply_make(uint32_t segment_count); /* NULL: no memory */
void offer_reply_free(struct offer_reply *offer);

#endif
