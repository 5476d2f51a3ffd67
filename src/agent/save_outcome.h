/* SPDX-License-Identifier: Apache-2.0 */
/* How a rank's saves ended, and that it hears of it. */
#ifndef CKPT_AGENT_SAVE_OUTCOME_H
#define CKPT_AGENT_SAVE_OUTCOME_H

#include "agent/state.h"

#define AGENT_ONE_RANK UINT32_MAX /* in place of a world */

/* NULL: none of that step was sealed, as far as is remembered. */
struct save *agent_save_find(struct rank_session *session, uint64_t step);
/* One more that is sealed. */
struct save *agent_save_add(struct rank_session *session, uint64_t step, uint32_t slot,
                            uint64_t generation);
/* It has ended so: its process hears of it. */
void agent_save_ends(struct save *save, enum ckpt_status status, const char *reason);
/* A process that has connected again hears of what it sealed before. */
void agent_save_find_earlier(struct agent *a, uint32_t session);
/* Tells the process at once. */
void agent_save_outcome_send(struct agent *a, const struct rank_session *session, uint64_t step,
                             enum ckpt_status status, const char *reason);
/* One save of this process has ended so. */
void agent_save_end_one(struct rank_session *session, uint64_t step, enum ckpt_status status,
                        const char *reason);
/* The saves of every rank of shard's checkpoint have ended so: of that world, 0 for any, or only
 * that of shard's rank (AGENT_ONE_RANK). */
void agent_save_end(struct agent *a, const struct shard_key *shard, uint32_t world,
                    enum ckpt_status status, const char *reason);
void agent_saves_pump(struct agent *a);

#endif
