/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a shard has its copies, in how many domains, and which of them is one too many. */
#ifndef CKPT_COORDINATOR_REDUNDANCY_H
#define CKPT_COORDINATOR_REDUNDANCY_H

#include "coordinator/state.h"

/* Its copies, as the commit rule counts them: good ones in distinct domains; of what is not
 * consistent yet, apart from nodes that are to go. */
uint32_t coordinator_shard_copies(const struct coordinator *c, const struct shard *s);
/* The commit rule of one shard: as many of them as the run asks for. */
bool coordinator_shard_has_copies(const struct coordinator *c, const struct shard *s);
/* After its copies may have changed: whether it is ready, and what its agents should say. */
void coordinator_shard_refresh(struct coordinator *c, struct shard *s);
/* Domains of the good copies, without that of `without` (or NULL), with member (or NONE). */
uint32_t coordinator_shard_good_domains(const struct coordinator *c, const struct shard *s,
                                        const struct copy *without, uint32_t member);
/* As many as the run asks for are on nodes that are to stay. */
bool coordinator_shard_has_copies_apart(const struct coordinator *c, const struct shard *s);
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
