/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of runs. */
#ifndef CKPT_AGENT_RUN_H
#define CKPT_AGENT_RUN_H

#include "agent/state.h"

/* NULL: it is not known. */
struct run *agent_run_find(struct agent *a, const struct run_key *key);
/* Made where it is not known; in the place of one that no process needs. */
struct run *agent_run_make(struct agent *a, const struct run_key *key);
void agent_run_attempt(struct agent *a, struct run *run, uint32_t attempt);
/* Its newest attempt, if that was known at the time, which is the node's clock's; else 0. */
uint32_t agent_run_attempt_at(const struct run *run, uint64_t ms);
/* By which hooks speak, and jobs begin and end: it goes on while this process stands still, and the
 * machine's own does not. */
uint64_t agent_node_clock_ms(const struct agent *a);

#endif
