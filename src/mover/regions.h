/* SPDX-License-Identifier: Apache-2.0 */
/* The arena's registration with the transport: once at start, anew where segments are renewed. */
#ifndef CKPT_MOVER_REGIONS_H
#define CKPT_MOVER_REGIONS_H

#include "mover/state.h"

struct offer_reply;
struct work;

/* Every segment and part; the reason is the mover's. */
enum ckpt_status mover_regions_make(struct mover *m);

/* Makes of the memory what the renewal wants, and hands it to the digester, to be zeroed, unless it
 * is new. Takes the hold. */
void mover_regions_shape(struct mover *m, struct work *work);

/* Memory whose earlier user may still have it open gets new files. Takes the hold. */
void mover_regions_renew(struct mover *m, struct work *work);

/* Their descriptors that were given out are stale. */
void mover_regions_revoke(struct mover *m, const uint16_t *segments, uint32_t n);

/* How others read the segments; posted to the completions. */
void mover_regions_offer(struct mover *m, struct offer_reply *reply);

#endif
