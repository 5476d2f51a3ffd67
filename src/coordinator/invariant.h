/* SPDX-License-Identifier: Apache-2.0 */
/* What holds after every event. */
#ifndef CKPT_COORDINATOR_INVARIANT_H
#define CKPT_COORDINATOR_INVARIANT_H

#include "coordinator/state.h"

/* Asserts what holds, at the end of a turn. */
void coordinator_invariant_check(struct coordinator *c);

#endif
