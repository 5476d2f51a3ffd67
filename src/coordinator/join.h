/* SPDX-License-Identifier: Apache-2.0 */
/* Who may join, and what is known of an agent from its JOIN. */
#ifndef CKPT_COORDINATOR_JOIN_H
#define CKPT_COORDINATOR_JOIN_H

#include "coordinator/state.h"

/* An agent says who it is. */
void coordinator_on_join(struct coordinator *c, uint32_t link, const struct message *message);

#endif
