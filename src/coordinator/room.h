/* SPDX-License-Identifier: Apache-2.0 */
/* Room on a node that is full, and places in the tables: who gives what. */
#ifndef CKPT_COORDINATOR_ROOM_H
#define CKPT_COORDINATOR_ROOM_H

#include "coordinator/state.h"

/* True: room for as many bytes is on its way; or some has just been made, and is waited for. */
bool coordinator_make_room(struct coordinator *c, uint32_t member, const struct run *run,
                           uint64_t bytes);
/* For the first of the run's saves that all ranks have sealed: those behind it give up what they
 * have there, the newest first, for each would wait for the other until save_timeout. */
void coordinator_make_room_for_first(struct coordinator *c, uint32_t member,
                                     const struct checkpoint *k, uint64_t bytes);
/* An agent has no room for a save of its ranks. */
void coordinator_on_need(struct coordinator *c, uint32_t member, const struct message_need *need);
/* A place in the tables for another checkpoint of the run, from whoever has more than he needs.
 * False: nobody has, or there is no room for the record in this turn. */
bool coordinator_make_place(struct coordinator *c, const struct run_key *needs);

#endif
