/* SPDX-License-Identifier: Apache-2.0 */
/* The table of loads: each process has its own part of it, so that none crowds out another. */
#ifndef CKPT_AGENT_LOAD_TABLE_H
#define CKPT_AGENT_LOAD_TABLE_H

#include "agent/state.h"

/* Walks the loads in use; *cursor starts at 0. NULL: no more. */
struct load *agent_load_next(const struct agent *a, uint32_t *cursor);
/* NULL: the process has no such load. */
struct load *agent_load_find(struct agent *a, uint32_t session, bool collective, uint32_t number);
/* One of the process that is asked for from now on. NULL: it has as many as it may. */
struct load *agent_load_make(struct agent *a, uint32_t session);
void agent_load_move(struct load *load, enum load_state to);
/* The slot is lent to it. */
void agent_load_lend(struct agent *a, struct load *load, uint32_t slot);
/* What was lent to it is given back. */
void agent_load_unlend(struct agent *a, struct load *load);
/* Nothing is lent to it: it is unused. */
void agent_load_end(struct agent *a, struct load *load);

#endif
