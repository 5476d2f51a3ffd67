/* SPDX-License-Identifier: Apache-2.0 */
/* What the copies of a run are proven with. */
#ifndef CKPT_COORDINATOR_DIGEST_KEY_H
#define CKPT_COORDINATOR_DIGEST_KEY_H

#include "coordinator/state.h"

bool coordinator_key_equal(const struct digest_key *a, const struct digest_key *b);
void coordinator_key_set(struct coordinator *c, struct run *run, const struct digest_key *key);
/* Nothing is known of the run: it gets what runs begin with, and the record of it. */
void coordinator_key_begin(struct coordinator *c, struct run *run);
/* What agents are told: on record since the turn in which the run came, or in this one. */
const struct digest_key *coordinator_key_told(const struct coordinator *c, const struct run *run);
/* The report has a digest that can be compared with others of the run. */
bool coordinator_key_is_of(const struct coordinator *c, const struct run *run,
                           const struct message_shard_report *r);

#endif
