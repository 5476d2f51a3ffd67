/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a fetch. */
#ifndef CKPT_COORDINATOR_FETCH_TABLE_H
#define CKPT_COORDINATOR_FETCH_TABLE_H

#include "coordinator/state.h"

/* The first fetch of the shard by the member's readers; NULL: nobody waits. */
struct fetch *coordinator_fetch_first(struct coordinator *c, const struct shard *s,
                                      uint32_t member);
/* The one after it; NULL: no more. */
struct fetch *coordinator_fetch_next(struct coordinator *c, const struct fetch *f,
                                     const struct shard *s);
/* Who was told makes room for others: only who waits counts against its member's share. */
void coordinator_fetch_set_told(struct coordinator *c, struct fetch *f, bool told);
/* NULL: there is no place, and it is to ask again. */
struct fetch *coordinator_fetch_remember(struct coordinator *c, const struct shard *s,
                                         uint32_t member, const struct message_load_ask *ask,
                                         bool *is_new_out);
/* Who no longer repeats its ask no longer waits. */
void coordinator_fetches_tick(struct coordinator *c);
/* Its place will be another's. */
void coordinator_fetches_forget_member(struct coordinator *c, uint32_t member);

#endif
