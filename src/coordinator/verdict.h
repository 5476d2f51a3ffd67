/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks and readers hear of their loads, and how a load ends. */
#ifndef CKPT_COORDINATOR_VERDICT_H
#define CKPT_COORDINATOR_VERDICT_H

#include "coordinator/state.h"

/* The answer to an ask for a shard; s: what may be read, NULL when there is nothing. What went out,
 * for more to be said in it; NULL: the member is away, and asks again. */
struct message_load_verdict *coordinator_send_verdict(struct coordinator *c, uint32_t member,
                                                      const struct message_load_ask *ask,
                                                      enum ckpt_status status, const char *reason,
                                                      const struct shard *s);
/* Who waits for copies that are away hears for which. */
void coordinator_send_waits(struct coordinator *c, uint32_t member,
                            const struct message_load_ask *ask, const char *reason);
/* NULL: none is quarantined. */
const struct checkpoint *coordinator_run_newest_quarantined(const struct coordinator *c,
                                                            const struct run *run);
/* The load ends, for all of its ranks; they are told in this turn and the next. */
void coordinator_restore_end(struct coordinator *c, struct run *run, enum ckpt_status status,
                             const char *reason);

#endif
