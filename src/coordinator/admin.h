/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of a person that change something. */
#ifndef CKPT_COORDINATOR_ADMIN_H
#define CKPT_COORDINATOR_ADMIN_H

#include "coordinator/state.h"

/* Carries out one verb. */
void coordinator_on_admin(struct coordinator *c, const struct message_admin_ask *ask);

#endif
