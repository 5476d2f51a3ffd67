/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's place in a start of its run, as the coordinator gives it out. */
#ifndef CKPT_AGENT_SEAT_H
#define CKPT_AGENT_SEAT_H

#include "agent/state.h"

/* A staged save of the seat by step: its slot, or NONE. */
uint32_t agent_seat_staged(const struct agent *a, uint32_t seat, uint64_t step);
/* The seat of the process that opens, made where it has none. A process of before starts had names
 * goes by the number that it says. */
uint32_t agent_seat_claim(struct agent *a, const struct run_key *run,
                          const struct message_rank_open *ask, bool by_number);
/* Of what was found in the arena: its process may have gone with the agent before this one. */
void agent_seat_adopt(struct agent *a, uint32_t slot);
/* Its process has gone. */
void agent_seat_leave(struct agent *a, uint32_t index);
void agent_seat_told(struct agent *a, const struct message_seat_told *told);
/* To a coordinator that may know of none. */
void agent_seats_resend(struct agent *a);
void agent_seats_pump(struct agent *a);

#endif
