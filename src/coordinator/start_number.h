/* SPDX-License-Identifier: Apache-2.0 */
/* A start that is given its number when every rank of the world has a seat. */
#ifndef CKPT_COORDINATOR_START_NUMBER_H
#define CKPT_COORDINATOR_START_NUMBER_H

#include "coordinator/state.h"

/* An ask for a seat in a start that is to be given a number. */
void coordinator_start_ask_number(struct coordinator *c, struct run *run, uint32_t member,
                                  const struct message_seat_ask *ask);

#endif
