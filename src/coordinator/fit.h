/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes that a copy takes on a node, and those that are left there. */
#ifndef CKPT_COORDINATOR_FIT_H
#define CKPT_COORDINATOR_FIT_H

#include "coordinator/state.h"

/* The bytes that a copy takes on the member. */
uint64_t coordinator_shard_room(const struct coordinator *c, const struct shard *s,
                                uint32_t member);
/* What a copy takes on the member: whole segments, or a part of one. */
struct placement_room coordinator_shard_needs(const struct coordinator *c, const struct shard *s,
                                              uint32_t member);
/* A copy is to be made there: what is known of the member's room until it says more itself. */
void coordinator_shard_take_room(struct coordinator *c, const struct shard *s, uint32_t member);

#endif
