/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what a puller and its source say. */
#include "wire/layout.h"

static const struct wire_field offer_ask_fields[] = {
    FIELD_U64(message_offer_ask, OfferAsk, pull),
    FIELD_SHARD(message_offer_ask, OfferAsk, shard),
    FIELD_INCARNATION(message_offer_ask, OfferAsk, source_incarnation),
    FIELD_U64(message_offer_ask, OfferAsk, generation),
    FIELD_U64(message_offer_ask, OfferAsk, values_key),
};
WIRE_LAYOUT(offer_ask, message_offer_ask, offer_ask);

static const struct wire_field offer_fields[] = {
    FIELD_U64(message_offer, Offer, pull),
    FIELD_STATUS(message_offer, Offer, status),
    FIELD_REASON(message_offer, Offer, reason),
    FIELD_U32(message_offer, Offer, slot, UINT32_MAX),
    FIELD_U64(message_offer, Offer, generation),
    FIELD_U64(message_offer, Offer, bytes),
    FIELD_U64(message_offer, Offer, segment_bytes),
    FIELD_BYTES(message_offer, Offer, worker_address, worker_address_bytes,
                CKPT_WORKER_ADDRESS_MAX),
    FIELD_REGIONS(message_offer, Offer, regions, region_count, CKPT_SEGMENTS_PER_SHARD_MAX),
    FIELD_BYTES(message_offer, Offer, values, values_bytes, CKPT_VALUES_BYTES_MAX),
};
WIRE_LAYOUT(offer, message_offer, offer);

static const struct wire_field offer_done_fields[] = {
    FIELD_U64(message_offer_done, OfferDone, pull),
    FIELD_U32(message_offer_done, OfferDone, slot, UINT32_MAX),
    FIELD_U64(message_offer_done, OfferDone, generation),
};
WIRE_LAYOUT(offer_done, message_offer_done, offer_done);

static const struct wire_field offer_closed_fields[] = {
    FIELD_U64(message_offer_closed, OfferClosed, pull),
    FIELD_STATUS(message_offer_closed, OfferClosed, status),
};
WIRE_LAYOUT(offer_closed, message_offer_closed, offer_closed);
