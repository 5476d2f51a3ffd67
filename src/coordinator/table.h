/* SPDX-License-Identifier: Apache-2.0 */
/* What the tables share: places in them, and finding by name or number. */
#ifndef CKPT_COORDINATOR_TABLE_H
#define CKPT_COORDINATOR_TABLE_H

#include "coordinator/state.h"

/* FNV-1a (Fowler, Noll, Vo). */
uint32_t coordinator_name_hash(uint32_t start, const char *name);
/* The lowest free place of a table, which is taken; NONE when it is full. What lies above the
 * highest place that was ever taken stays untouched, and its memory is never asked for. */
uint32_t coordinator_table_take(struct index_set *free_places, uint32_t *high, uint32_t max);
/* The name of the shard. */
void coordinator_shard_key(const struct coordinator *c, const struct shard *s,
                           struct shard_key *key_out);
/* The member of the node, joined or lost; NULL: none. */
struct member *coordinator_member_by_name(struct coordinator *c, const char *node);
/* Whose connection it is; NULL: nobody has joined on it. */
struct member *coordinator_member_by_link(struct coordinator *c, uint32_t link);
/* Remembers what the invariant has to look at when the turn ends. */
void coordinator_checkpoint_touch(struct coordinator *c, const struct checkpoint *k);

#endif
