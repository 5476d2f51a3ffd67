/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are to go, and what a person gives up: drain.c and forget.c, to the other files of
 * this room. */
#ifndef CKPT_COORDINATOR_DRAIN_H
#define CKPT_COORDINATOR_DRAIN_H

#include "coordinator/state.h"

/* drain.c: nodes that are to go. */
bool drain_applies(const struct coordinator *c, const struct shard *s);
bool copy_leaves(const struct coordinator *c, const struct shard *s, const struct copy *copy);
bool shard_has_copies_apart(const struct coordinator *c, const struct shard *s);
bool drain_makes_do(struct coordinator *c, struct checkpoint *k);
void drains_give_way(struct coordinator *c);
void drains_refresh(struct coordinator *c);
void drains_tick(struct coordinator *c, struct coordinator_update *u);
void node_drain(struct coordinator *c, struct coordinator_update *u, const char *node);
void node_undrain(struct coordinator *c, struct coordinator_update *u, const char *node);
enum ckpt_status replay_drain(struct coordinator *c, struct coordinator_update *u,
                              const struct coordinator_record *record);

/* What these two need of place.c, roster.c, home.c and repair.c. */
void roster_forget(struct coordinator *c, struct coordinator_update *u, struct member *m,
                   const char *why);
void roster_set_usable(struct coordinator *c, uint32_t member, bool usable);
uint32_t home_find(const struct coordinator *c, const char *node);
bool node_is_home(const struct coordinator *c, const char *node);
void shard_drop_home(struct coordinator *c, struct shard *s, uint32_t home);
void shard_write_homes(struct coordinator *c, struct coordinator_update *u, const struct shard *s);
struct copy *shard_leaving(const struct coordinator *c, struct shard *s);
uint32_t shard_domains_apart(const struct coordinator *c, const struct shard *s,
                             const struct copy *without);
void roster_set_draining(struct coordinator *c, uint32_t member, bool draining);
struct member *roster_add_lost(struct coordinator *c, struct coordinator_update *u,
                               const char *node, const char *domain);

/* checkpoint.c: what this update commits is not to be retired in it. */
bool checkpoint_is_committed_now(const struct coordinator *c, const struct coordinator_update *u,
                                 const struct checkpoint *k);

/* forget.c: by command. */
void node_forget(struct coordinator *c, struct coordinator_update *u, const char *node, bool force);
void run_forget(struct coordinator *c, struct coordinator_update *u, struct run *run);

#endif
