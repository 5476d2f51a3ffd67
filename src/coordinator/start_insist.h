/* SPDX-License-Identifier: Apache-2.0 */
/* A start whose number the caller insists on. */
#ifndef CKPT_COORDINATOR_START_INSIST_H
#define CKPT_COORDINATOR_START_INSIST_H

#include "coordinator/state.h"

/* An ask for a seat under a number. */
void coordinator_start_ask_insisting(struct coordinator *c, struct run *run, uint32_t member,
                                     const struct message_seat_ask *ask);

#endif
