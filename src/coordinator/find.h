/* SPDX-License-Identifier: Apache-2.0 */
/* From the name of a shard to what is known of it. */
#ifndef CKPT_COORDINATOR_FIND_H
#define CKPT_COORDINATOR_FIND_H

#include "coordinator/state.h"

/* As far as it is known: behind the first NULL all are NULL. */
struct found {
    struct run *run;
    struct checkpoint *checkpoint;
    struct shard *shard;
    struct copy *copy;
};

/* The member's copy of the shard; member NONE: no copy is looked for. */
struct found coordinator_find(struct coordinator *c, const struct shard_key *key, uint32_t member);

#endif
