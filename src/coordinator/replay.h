/* SPDX-License-Identifier: Apache-2.0 */
/* Durable records back into the tables, before anything else happens. */
#ifndef CKPT_COORDINATOR_REPLAY_H
#define CKPT_COORDINATOR_REPLAY_H

#include "coordinator/state.h"

/* Takes one record. */
enum ckpt_status coordinator_on_replay(struct coordinator *c,
                                       const struct coordinator_record *record);

#endif
