/* SPDX-License-Identifier: Apache-2.0 */
/* What keys are, and which of those in messages are well formed. */
#ifndef CKPT_AGENT_IDENTITY_H
#define CKPT_AGENT_IDENTITY_H

#include "agent/state.h"

bool agent_run_equal(const struct run_key *a, const struct run_key *b);
bool agent_shard_equal(const struct shard_key *a, const struct shard_key *b);
/* Whether the shard is one of that checkpoint's. */
bool agent_shard_is_of(const struct shard_key *shard, const struct run_key *run, uint32_t attempt,
                       uint64_t step);
bool agent_run_is_valid(const struct run_key *run);
bool agent_shard_is_valid(const struct shard_key *shard);
/* Whether text has its NUL within max + 1 bytes. */
bool agent_text_ends(const char *text, size_t max);
/* By which a rank's memory is known again. */
uint64_t agent_rank_tag(const struct run_key *run, uint32_t rank);
/* By which the memory of that shard's rank is known again. */
struct slot_owner agent_slot_owner(const struct shard_key *shard);
/* < 0, 0 or > 0: a is the earlier order, the same, or the later. */
int agent_order_compare(struct order a, struct order b);

#endif
