/* SPDX-License-Identifier: Apache-2.0 */
/* Asserts what must hold after every event. */
#ifndef CKPT_AGENT_INVARIANT_H
#define CKPT_AGENT_INVARIANT_H

#include "agent/state.h"

void agent_invariants(struct agent *a);

#endif
