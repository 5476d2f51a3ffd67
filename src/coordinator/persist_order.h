/* SPDX-License-Identifier: Apache-2.0 */
/* What agents were told to take to the tier, and have not answered. */
#ifndef CKPT_COORDINATOR_PERSIST_ORDER_H
#define CKPT_COORDINATOR_PERSIST_ORDER_H

#include "coordinator/state.h"

/* One for the member, of the shard, or with NULL of the manifest; there is a place, as no member
 * has more than its share. */
struct persist_order *coordinator_persist_order_add(struct coordinator *c, uint32_t member,
                                                    const struct checkpoint *k, struct shard *s);
/* The member's of this number; NULL: it is none of those that wait. */
struct persist_order *coordinator_persist_order_find(struct coordinator *c, uint32_t member,
                                                     uint64_t order);
/* It is answered, or void. */
void coordinator_persist_order_drop(struct coordinator *c, struct persist_order *order);
/* All that are the member's. */
void coordinator_persist_orders_drop_member(struct coordinator *c, uint32_t member);
/* All that are of the checkpoint. */
void coordinator_persist_orders_drop_checkpoint(struct coordinator *c, const struct checkpoint *k);
/* Whether the checkpoint has any. */
bool coordinator_persist_is_ordered(const struct coordinator *c, const struct checkpoint *k);

#endif
