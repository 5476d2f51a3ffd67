/* SPDX-License-Identifier: Apache-2.0 */
/* Copies: who holds which shard. */
#ifndef CKPT_COORDINATOR_COPY_H
#define CKPT_COORDINATOR_COPY_H

#include "coordinator/state.h"

/* The shard and the copy of this number. */
struct shard *coordinator_copy_shard(struct coordinator *c, uint32_t number,
                                     struct copy **copy_out);
/* The member's copy; NONE finds a free place. NULL: there is none. */
struct copy *coordinator_copy_find(struct shard *s, uint32_t member);
/* A place for the member's copy, a husk's where all are taken; NULL: there is none. */
struct copy *coordinator_copy_add(struct coordinator *c, struct shard *s, uint32_t member);
/* To a state that may follow upon the one it is in; its member's count is right. */
void coordinator_copy_move(struct coordinator *c, struct copy *copy, enum copy_state to);
/* The copy is under this order from now on, and its member's counts are right. */
void coordinator_copy_set_order(struct coordinator *c, struct copy *copy, enum order_kind kind);
/* The copy is not known any more. */
void coordinator_copy_drop(struct coordinator *c, struct shard *s, struct copy *copy);
/* What its agent should say of it, as far as is known here. */
uint64_t coordinator_copy_weight(const struct coordinator *c, const struct shard *s,
                                 const struct copy *copy);
/* After whatever may have changed it. */
void coordinator_copy_weigh(struct coordinator *c, const struct shard *s, struct copy *copy);
/* All copies of the shard. */
void coordinator_shard_weigh(struct coordinator *c, struct shard *s);
/* All copies of the checkpoint: it has become consistent, or is so no longer. */
void coordinator_checkpoint_weigh(struct coordinator *c, const struct checkpoint *k);

#endif
