/* SPDX-License-Identifier: Apache-2.0 */
/* Orders to agents: pull a copy, digest one, let one go. */
#ifndef CKPT_COORDINATOR_ORDER_H
#define CKPT_COORDINATOR_ORDER_H

#include "coordinator/state.h"

/* The copy's order went out long enough ago to be sent again. */
bool coordinator_order_is_stale(const struct coordinator *c, const struct copy *copy);
/* False: all places for copies of the shard are taken, and it is parked. */
bool coordinator_order_pull(struct coordinator *c, struct shard *s, uint32_t member,
                            struct source source, enum pull_purpose purpose);
/* The copy is digested again. */
void coordinator_order_verify(struct coordinator *c, struct shard *s, struct copy *copy);
/* The same order under another number: an answer to the old one says nothing any more. */
void coordinator_order_renew(struct coordinator *c, struct shard *s, struct copy *copy);
/* A pull whose source is gone, or has the shard in another slot by now, is ordered anew from where
 * it is now. */
void coordinator_order_resend(struct coordinator *c, struct shard *s, struct copy *copy);
/* It does not count from now on, whatever its agent answers: that may have freed it already. An
 * agent of an earlier release frees it as it frees a copy that is refused. */
void coordinator_order_let_go(struct coordinator *c, struct shard *s, struct copy *copy);
/* A copy that was to go is wanted after all. Perhaps it is gone: its next digest tells. */
void coordinator_order_stay(struct coordinator *c, struct shard *s, struct copy *copy);
/* A pull that is not needed any more: what it has made so far is freed. If this word is lost, it
 * ends as a copy too many. */
void coordinator_order_call_off(struct coordinator *c, struct shard *s, struct copy *copy);

#endif
