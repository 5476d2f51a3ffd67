/* SPDX-License-Identifier: Apache-2.0 */
/* Who is seated, and what is told of it. */
#ifndef CKPT_COORDINATOR_SEAT_CONFIRM_H
#define CKPT_COORDINATOR_SEAT_CONFIRM_H

#include "coordinator/state.h"

/* The answer to the rank's ask. */
void coordinator_seat_tell(struct coordinator *c, uint32_t member,
                           const struct message_seat_ask *ask, enum ckpt_status status,
                           const char *reason);
/* It has its seat, in a start that has this number. */
void coordinator_seat_tell_taken(struct coordinator *c, uint32_t member,
                                 const struct message_seat_ask *ask, const struct start *start);
/* The number that it insists on was another start's. */
void coordinator_seat_tell_used(struct coordinator *c, uint32_t member,
                                const struct message_seat_ask *ask, const struct run *run);
/* The process sits down, or has left. */
void coordinator_seat_take(struct coordinator *c, struct start *start, struct seat *seat,
                           uint32_t member, const struct message_seat_ask *ask);
/* The process has gone. In a start that has its number the seat keeps its name: who comes next is
 * another process. */
void coordinator_seat_leave(struct coordinator *c, struct seat *seat);
/* All processes of the node have gone. */
void coordinator_seats_of_member_lost(struct coordinator *c, uint32_t member);
/* The seat of this very process, in whichever start. */
struct seat *coordinator_seat_of_process(struct coordinator *c, const struct run *run,
                                         uint32_t rank, const struct nonce *nonce);
/* Whether a process that says it was seated in a start may act for it: no later one has begun, and
 * no other process has its place. What this coordinator does not know any more it is told here. */
enum ckpt_status coordinator_seat_confirm(struct coordinator *c, struct run *run, uint32_t member,
                                          const struct message_seat_ask *ask, char *reason);

#endif
