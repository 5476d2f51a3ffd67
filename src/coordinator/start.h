/* SPDX-License-Identifier: Apache-2.0 */
/* Starts of a run: who is of one, and which number it has. */
#ifndef CKPT_COORDINATOR_START_H
#define CKPT_COORDINATOR_START_H

#include "coordinator/state.h"

/* A process asks for its rank's seat. */
void coordinator_on_seat_ask(struct coordinator *c, uint32_t member,
                             const struct message_seat_ask *ask);
/* What is still to be told of starts that are complete. */
void coordinator_starts_tick(struct coordinator *c);

#endif
