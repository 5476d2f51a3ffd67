/* SPDX-License-Identifier: Apache-2.0 */
/* One agent of a fleet: its machine, its session with the coordinator, its ranks.
 *
 * Whatever an agent is told comes by the fleet's queue of parcels, so that a machine's update is
 * carried out whole before the next event goes to any machine. */
#ifndef CKPTBENCH_REAL_AGENT_H
#define CKPTBENCH_REAL_AGENT_H

#include "cluster/real_state.h"

/* Makes the agent and has it connect. CKPT_ERR_CONFIG, CKPT_ERR_MEMORY, or as session_connect. */
enum ckpt_status real_agent_open(struct real_fleet *fleet, uint32_t index, char *reason);
void real_agent_close(struct real_agent *agent);

/* Gives the event to the machine and carries its update out. */
void real_agent_advance(struct real_agent *agent, struct agent_event *event);

/* A rank's word to its agent. */
void real_agent_rank_says(struct real_agent *agent, uint32_t rank, const struct message *message);

#endif
