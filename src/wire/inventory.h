/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the coordinator knows an agent's copies as they are, in one number.
 *
 * Each copy has a weight, made of all that a report says of it; the inventory is the sum of the
 * weights. The agent's HEARTBEAT has the sum of what is in its memory, the coordinator keeps that
 * of what its tables say, and LEASE says whether they are equal: then nothing has to be told again.
 * A sum can be kept up to date by what changes, whatever the order. It is no proof against malice,
 * and need not be: who makes a false one deceives the coordinator about nothing but its own
 * copies, which it could as well report falsely.
 *
 * Both ends must make the same weights: a change of them is a change of the protocol. Pure; any
 * thread. */
#ifndef CKPT_WIRE_INVENTORY_H
#define CKPT_WIRE_INVENTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/message.h"

/* What a copy's weight has of its shard. */
uint64_t inventory_shard(const struct shard_key *shard);

/* The weight of a copy of that shard; digest counts in COPY_VERIFIED alone. */
uint64_t inventory_copy(uint64_t shard, uint64_t generation, enum copy_state state, bool owner,
                        bool cached, const struct digest *digest);

/* The weight of the same copy once its checkpoint is known to be consistent. */
uint64_t inventory_consistent(uint64_t weight);

#endif
