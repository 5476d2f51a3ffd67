/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a shard for a reader: from where, and what proves it. */
#ifndef CKPT_COORDINATOR_RANGE_H
#define CKPT_COORDINATOR_RANGE_H

#include "coordinator/state.h"

/* The answer to a fetch that names a range of the shard, of a committed checkpoint. False: nobody
 * has been told anything, as no good copy is known now. */
bool coordinator_range_answer(struct coordinator *c, uint32_t member,
                              const struct message_load_ask *ask, const struct shard *s);

#endif
