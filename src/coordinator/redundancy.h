/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a shard has its copies, and what it needs next: the one place that decides either. */
#ifndef CKPT_COORDINATOR_REDUNDANCY_H
#define CKPT_COORDINATOR_REDUNDANCY_H

#include "coordinator/state.h"

/* Members whose domains are taken by copies that count or soon will, and those to avoid. */
struct holders {
    uint32_t taken[COORDINATOR_COPIES_MAX];
    uint32_t taken_count;
    uint32_t avoid[COORDINATOR_COPIES_MAX];
    uint32_t avoid_count;
};

enum redundancy {
    REDUNDANCY_MET,    /* committed, and it has its copies: what is one too many may go */
    REDUNDANCY_COMING, /* as many as are wanted count or soon will */
    REDUNDANCY_SHORT,  /* another copy is to be made */
};

/* Its copies, as the commit rule counts them: good ones in distinct domains; of what is not
 * consistent yet, apart from nodes that are to go. */
uint32_t coordinator_redundancy(const struct coordinator *c, const struct shard *s);
/* The commit rule of one shard: as many of them as the run asks for. */
bool coordinator_redundancy_is_met(const struct coordinator *c, const struct shard *s);
/* As many as the run asks for are on nodes that do not drain, without the member (or NONE). */
bool coordinator_redundancy_is_met_without(const struct coordinator *c, const struct shard *s,
                                           uint32_t member);
/* What the shard needs next, and the holders of its copies, as the choice of another takes them. */
enum redundancy coordinator_redundancy_next(const struct coordinator *c, const struct shard *s,
                                            struct holders *holders_out);
struct holders coordinator_shard_holders(const struct coordinator *c, const struct shard *s);
/* A good copy on the member would be in a domain that has none. */
bool coordinator_redundancy_gains(const struct coordinator *c, const struct shard *s,
                                  uint32_t member);
/* No other good copy is in the domain of this one. */
bool coordinator_redundancy_loses(const struct coordinator *c, const struct shard *s,
                                  const struct copy *copy);
/* There are more good copies than the run asks for. */
bool coordinator_redundancy_is_exceeded(const struct coordinator *c, const struct shard *s);
/* What is left without the copy is in as many domains as was asked for, or as there are; and so is
 * what is to stay of it. */
bool coordinator_redundancy_spares(const struct coordinator *c, const struct shard *s,
                                   const struct copy *copy);
/* After its copies may have changed: whether it is ready, and what its agents should say. */
void coordinator_shard_refresh(struct coordinator *c, struct shard *s);

#endif
