/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of runs. */
#ifndef CKPT_AGENT_RUN_H
#define CKPT_AGENT_RUN_H

#include "agent/state.h"

/* NULL: it is not known. */
struct run *agent_run_find(struct agent *a, const struct run_key *key);
/* Made where it is not known; in the place of one that no process needs. */
struct run *agent_run_make(struct agent *a, const struct run_key *key);

#endif
