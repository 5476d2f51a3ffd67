/* SPDX-License-Identifier: Apache-2.0 */
/* The door for loads: a rank's, which has part in its run's one restore, or a reader's. */
#ifndef CKPT_COORDINATOR_LOAD_ASK_H
#define CKPT_COORDINATOR_LOAD_ASK_H

#include "coordinator/state.h"

/* A rank or a reader asks for a shard. */
void coordinator_on_load_ask(struct coordinator *c, uint32_t member,
                             const struct message_load_ask *ask);

#endif
