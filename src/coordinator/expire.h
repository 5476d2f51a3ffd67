/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that nobody saves, loads or reads any more, and that no rank is connected of. */
#ifndef CKPT_COORDINATOR_EXPIRE_H
#define CKPT_COORDINATOR_EXPIRE_H

#include "coordinator/state.h"

/* Looks at some runs. */
void coordinator_expire_tick(struct coordinator *c);

#endif
