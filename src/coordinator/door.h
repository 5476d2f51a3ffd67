/* SPDX-License-Identifier: Apache-2.0 */
/* The door for every message: who may say it, and who hears it. */
#ifndef CKPT_COORDINATOR_DOOR_H
#define CKPT_COORDINATOR_DOOR_H

#include "coordinator/state.h"

/* What came on a connection. */
void coordinator_member_message(struct coordinator *c, uint32_t link,
                                const struct message *message);

#endif
