/* SPDX-License-Identifier: Apache-2.0 */
/* What waits to be told to the agents of a fleet, and why it has failed. */
#ifndef CKPTBENCH_REAL_PARCELS_H
#define CKPTBENCH_REAL_PARCELS_H

#include "cluster/real_state.h"

/* Puts an event into the queue; message may be NULL. */
void real_fleet_post(struct real_fleet *fleet, uint32_t agent, const struct agent_event *event,
                     const struct message *message);

/* Keeps the first failure. */
__attribute__((format(printf, 3, 4))) void
real_fleet_fail(struct real_fleet *fleet, enum ckpt_status status, const char *format, ...);

#endif
