/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/offer.h"

#include <stdlib.h>

struct offer_reply *offer_reply_make(uint32_t segment_count)
{
    struct offer_reply *offer = calloc(1, sizeof *offer);
    if (offer == NULL) {
        return NULL;
    }
    offer->segment_count = segment_count;
    offer->regions = calloc(segment_count + 1, sizeof *offer->regions);
    offer->descriptors = calloc(segment_count + 1, sizeof *offer->descriptors);
    if (offer->regions == NULL || offer->descriptors == NULL) {
        offer_reply_free(offer);
        return NULL;
    }
    return offer;
}

void offer_reply_free(struct offer_reply *offer)
{
    if (offer == NULL) {
        return;
    }
    free(offer->regions);
    free(offer->descriptors);
    free(offer->values);
    free(offer);
}
