/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of a work over a slot's memory means. */
#ifndef CKPT_AGENT_WORK_DONE_H
#define CKPT_AGENT_WORK_DONE_H

#include "agent/state.h"

void agent_work_done(struct agent *a, const struct agent_event *event);

#endif
