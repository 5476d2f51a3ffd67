/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps saves from becoming consistent, as long as it goes on. */
#ifndef CKPT_COORDINATOR_TROUBLE_H
#define CKPT_COORDINATOR_TROUBLE_H

#include "coordinator/state.h"

/* It happens, as *what says but for `said` and `text`. True: it was said now, by a note. */
bool coordinator_trouble_happens(struct coordinator *c, enum event_id event,
                                 const struct trouble *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Of the node (or ""), and of the run (or NULL). */
void coordinator_trouble_is_over(struct coordinator *c, enum coordinator_trouble kind,
                                 const char *node, const struct run_key *run);
/* A save that does not come nearer to being consistent. */
void coordinator_trouble_of_save(struct coordinator *c, struct checkpoint *k);
/* What an agent says of its own refusals. */
void coordinator_trouble_of_agent(struct coordinator *c, struct member *m,
                                  const struct message_heartbeat *heartbeat);

#endif
