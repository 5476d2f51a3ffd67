/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs of one turn, as many as fit. NULL or false: no room, and `again` is set. */
#ifndef CKPT_AGENT_UPDATE_H
#define CKPT_AGENT_UPDATE_H

#include "agent/state.h"

void agent_update_begin(struct agent *a, struct agent_update *update);
struct agent_outgoing *agent_update_message(struct agent *a, enum agent_target target,
                                            uint32_t link, enum message_type type);
struct agent_work *agent_update_work(struct agent *a, enum agent_work_type type);
/* Stores the slot's record as it is now; where there is no room, the mark record_pending stays. */
bool agent_update_record(struct agent *a, uint32_t slot);
void agent_update_records_pump(struct agent *a);
/* Whether a pump may start something that needs one of everything. */
bool agent_update_has_room(const struct agent *a);
/* The next turn is at that time, or earlier. */
void agent_update_deadline(struct agent *a, uint64_t at_ms);

#endif
