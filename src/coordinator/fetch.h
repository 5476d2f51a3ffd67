/* SPDX-License-Identifier: Apache-2.0 */
/* Reading any rank's shard, outside of any verdict: resharding, serving, export. */
#ifndef CKPT_COORDINATOR_FETCH_H
#define CKPT_COORDINATOR_FETCH_H

#include "coordinator/state.h"

/* A reader asks for a shard. */
void coordinator_on_fetch_ask(struct coordinator *c, uint32_t member,
                              const struct message_load_ask *ask);
/* What does not fit this turn is answered when it is asked again. */
void coordinator_fetch_copy_verified(struct coordinator *c, struct shard *s,
                                     const struct copy *copy);
/* A reader asks what is known of a checkpoint. */
void coordinator_on_checkpoint_ask(struct coordinator *c, uint32_t link,
                                   const struct message_checkpoint_ask *ask);

#endif
