/* SPDX-License-Identifier: Apache-2.0 */
/* Which copy of a shard may go. */
#ifndef CKPT_COORDINATOR_SURPLUS_H
#define CKPT_COORDINATOR_SURPLUS_H

#include "coordinator/state.h"

/* A good copy that is to be let go when its shard has another for it; NULL: none is. */
struct copy *coordinator_shard_leaving(const struct coordinator *c, struct shard *s);
/* A copy is being made from the member's. */
bool coordinator_shard_is_read_from(const struct shard *s, uint32_t member);
/* A copy that counts is being made. */
bool coordinator_shard_is_pulled(const struct shard *s);
/* Nobody restores it, reads from it or has it proven, as far as is known here; what its agent has
 * lent, the agent knows, and for a while its word is taken. */
bool coordinator_copy_is_idle(const struct coordinator *c, const struct shard *s,
                              const struct copy *copy);
/* Of more good copies than were asked for, the one that is missed least; NULL: there are none too
 * many, or all are in use. What is left is in as many domains as was asked for, or as there are;
 * and so is what is to stay of it. */
struct copy *coordinator_shard_surplus(const struct coordinator *c, struct shard *s);

#endif
