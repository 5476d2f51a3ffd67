/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent before this one left in the arena. */
#ifndef CKPT_AGENT_ADOPT_H
#define CKPT_AGENT_ADOPT_H

#include "agent/state.h"

/* Each slot is adopted once. */
enum ckpt_status agent_adopt_check(const struct agent *a, const struct slot_record *record);
/* corrupt: only slot and generation hold. */
void agent_adopt(struct agent *a, const struct slot_record *record, bool corrupt);
void agent_adopt_end(struct agent *a, uint64_t epoch, const struct nonce *cluster);

#endif
