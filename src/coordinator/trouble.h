/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps saves from becoming consistent, as long as it goes on: a table for people, and a note
 * once and then rarely. Nothing is decided by it. */
#ifndef CKPT_COORDINATOR_TROUBLE_H
#define CKPT_COORDINATOR_TROUBLE_H

#include "base/rare.h"
#include "coordinator/coordinator.h"

struct checkpoint;
struct member;

#define TROUBLES_MAX 128

/* One reason for which saves do not become consistent; a node and a run may be empty. */
struct trouble {
    uint8_t kind; /* enum coordinator_trouble */
    bool has_rank;
    char node[CKPT_NODE_NAME_MAX + 1];
    struct shard_key shard;
    enum ckpt_status status;
    struct rare said;
    char text[CKPT_REASON_MAX + 1];
};

/* It happens, as *what says but for `said` and `text`. True: it was said now, by a note. */
bool trouble_happens(struct coordinator *c, struct coordinator_update *u, enum event_id event,
                     const struct trouble *what, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Of the node (or ""), and of the run (or NULL). */
void trouble_is_over(struct coordinator *c, enum coordinator_trouble kind, const char *node,
                     const struct run_key *run);

/* A save that does not come nearer to being consistent. */
void trouble_of_save(struct coordinator *c, struct coordinator_update *u, struct checkpoint *k);

/* What an agent says of its own refusals. */
void trouble_of_agent(struct coordinator *c, struct coordinator_update *u, struct member *m,
                      const struct message_heartbeat *heartbeat);

#endif
