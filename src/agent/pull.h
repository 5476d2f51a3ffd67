/* SPDX-License-Identifier: Apache-2.0 */
/* Pulls: how they begin, go on and end. */
#ifndef CKPT_AGENT_PULL_H
#define CKPT_AGENT_PULL_H

#include "agent/state.h"

/* The source's bytes are offered: they are read. */
void agent_pull_read(struct agent *a, struct pull *pull);
/* The source's slot lasted to the end: the copy counts. */
void agent_pull_succeed(struct agent *a, struct pull *pull);
/* The bytes of a range are here, and with the source's values of the other chunks they have this
 * digest: they are its reader's, where that is the commit's. */
void agent_pull_range_done(struct agent *a, struct pull *pull, const struct digest *digest);
/* Nothing is reported of it. */
void agent_pull_drop(struct agent *a, struct pull *pull);
void agent_pull_fail(struct agent *a, struct pull *pull, enum ckpt_status status,
                     const char *reason);
/* Of a checkpoint that is given up. */
void agent_pulls_of_checkpoint_end(struct agent *a, const struct message_checkpoint_state *state);
void agent_pulls_pump(struct agent *a);

#endif
