/* SPDX-License-Identifier: Apache-2.0 */
/* What is held is proven again, so that what has rotted is found before it is asked for. */
#ifndef CKPT_AGENT_SCRUB_H
#define CKPT_AGENT_SCRUB_H

#include "agent/state.h"

/* One that is under way makes room for whoever wants its slot; else the next is begun where one is
 * due. */
void agent_scrubs_pump(struct agent *a);
/* Whether its end, which is not that of a digest that was asked for, says what its slot's bytes
 * are. */
bool agent_scrub_done(struct agent *a, uint32_t slot, const struct agent_event *event);

#endif
