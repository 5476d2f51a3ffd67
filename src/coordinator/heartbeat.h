/* SPDX-License-Identifier: Apache-2.0 */
/* What a heartbeat brings: life, room, and orders that were never answered. */
#ifndef CKPT_COORDINATOR_HEARTBEAT_H
#define CKPT_COORDINATOR_HEARTBEAT_H

#include "coordinator/state.h"

/* An agent lives, and says how much room it has. */
void coordinator_on_heartbeat(struct coordinator *c, struct member *m,
                              const struct message_heartbeat *heartbeat);

#endif
