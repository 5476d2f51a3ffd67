/* SPDX-License-Identifier: Apache-2.0 */
/* Events for the log; what the update has no room for is counted. */
#ifndef CKPT_AGENT_NOTE_H
#define CKPT_AGENT_NOTE_H

#include "agent/state.h"

/* Of the shard, or with NULL of none. */
void agent_note(struct agent *a, enum event_id event, const struct shard_key *shard,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
