/* SPDX-License-Identifier: Apache-2.0 */
/* Which copy is read from, and where the next one goes. */
#ifndef CKPT_COORDINATOR_PLACE_H
#define CKPT_COORDINATOR_PLACE_H

#include "coordinator/redundancy.h"

/* Where to read it from: a good copy, or the owner's sealed one; the one that failed least often.
 * SOURCE_NONE: there is none. */
struct source coordinator_shard_source(const struct coordinator *c, const struct shard *s,
                                       uint32_t not_member);
/* The copy that a source is. NULL: it is gone, or was none. */
struct copy *coordinator_source_copy(struct shard *s, const struct source *source);
/* The place of a copy that is to be made. A reader's or a restoring rank's takes that of a copy too
 * many, whose agent is told to free it at its next report. */
struct copy *coordinator_place_for(struct coordinator *c, struct shard *s, uint32_t member,
                                   const struct source *source, enum pull_purpose purpose);
/* The place of a copy that turns up, perhaps where all places are taken. One in a domain that has
 * no good copy yet takes that of one in a domain that has two, or of a repair under way. NULL: it
 * is one too many. */
struct copy *coordinator_place_for_found(struct coordinator *c, struct shard *s, uint32_t member);
/* Where the copy would go if all had room. */
enum ckpt_status coordinator_place_choose_full(const struct coordinator *c, const struct shard *s,
                                               const struct holders *h, uint32_t *member_out);
/* Frees a husk or a cached copy's place in the choice: a member that failed is tried again only
 * when nobody else is left. */
enum ckpt_status coordinator_place_choose(const struct coordinator *c, const struct shard *s,
                                          const struct holders *h, uint32_t *member_out);
/* Whether another node has room for it. Not the owner's: its rank restores it, and saves on that
 * node are few enough to fit. */
bool coordinator_copy_may_leave(const struct coordinator *c, struct shard *s, struct copy *copy);

#endif
