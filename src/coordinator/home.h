/* SPDX-License-Identifier: Apache-2.0 */
/* Where the copies of what was committed belong: the names of their nodes. */
#ifndef CKPT_COORDINATOR_HOME_H
#define CKPT_COORDINATOR_HOME_H

#include "coordinator/state.h"

/* NONE: no copy belongs there. */
uint32_t coordinator_home_find(const struct coordinator *c, const char *node);
/* Nothing belongs anywhere. */
void coordinator_homes_init(struct coordinator *c);
/* The node is there: what belongs there may be told of. */
void coordinator_homes_member_joined(struct coordinator *c, uint32_t member);
/* The node is away from now on. */
void coordinator_homes_member_lost(struct coordinator *c, uint32_t member);
/* Copies belong there, whether they are there or not. */
bool coordinator_node_is_home(const struct coordinator *c, const char *node);
/* Its copies belong nowhere. */
void coordinator_shard_release_homes(struct coordinator *c, struct shard *s);
/* Whatever is there of it is not waited for any more. */
void coordinator_shard_drop_home(struct coordinator *c, struct shard *s, uint32_t home);
/* Its copies belong on these nodes, as is on record. */
void coordinator_shard_set_homes(struct coordinator *c, struct shard *s,
                                 const char nodes[][CKPT_NODE_NAME_MAX + 1], uint32_t count);
/* Where its good copies are now; but for `without` (or NULL), which is about to be let go. */
void coordinator_shard_set_homes_as_held(struct coordinator *c, struct shard *s,
                                         const struct copy *without);
/* A copy belongs on the member. */
bool coordinator_shard_is_home(const struct coordinator *c, const struct shard *s, uint32_t member);
/* It is known where its copies belong. */
bool coordinator_shard_has_homes(const struct shard *s);
/* Its node's agent is joined and has told all that it holds: what it did not tell of is not there.
 * Until then a copy there is away. */
bool coordinator_home_is_heard(const struct coordinator *c, const struct home *home);

#endif
