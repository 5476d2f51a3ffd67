/* SPDX-License-Identifier: Apache-2.0 */
/* Shards that need a decision, each of them once, and those that must wait. */
#ifndef CKPT_COORDINATOR_QUEUE_H
#define CKPT_COORDINATOR_QUEUE_H

#include "coordinator/state.h"

/* Takes the shard out of the queue, or out of the parked. */
void coordinator_queue_remove(struct coordinator *c, struct shard *s);
/* The shard needs a decision; one that was parked waits no longer. */
void coordinator_queue_push(struct coordinator *c, struct shard *s);
/* The shard that needs one first; NULL: none does. */
struct shard *coordinator_queue_pop(struct coordinator *c);
/* The shard waits for the next round, or for room, but for one that needs a decision. */
void coordinator_queue_park(struct coordinator *c, struct shard *s);
/* So many of the parked are looked at again. */
void coordinator_queue_unpark(struct coordinator *c, uint32_t count);
/* All of the parked are looked at again. */
void coordinator_queue_unpark_all(struct coordinator *c);

#endif
