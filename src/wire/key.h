/* SPDX-License-Identifier: Apache-2.0 */
/* The names of what is kept: a run, and one shard of one of its checkpoints. Pure. */
#ifndef CKPT_WIRE_KEY_H
#define CKPT_WIRE_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"

#define CKPT_UID_ANY UINT32_MAX     /* whoever's run it is; (uid_t)-1 is nobody's */
#define CKPT_STEP_LATEST UINT64_MAX /* asks for the newest consistent step; never a real step */

/* A run is its owner's: two users may use one name and see nothing of each other. */
struct run_key {
    uint32_t uid;
    char name[CKPT_RUN_NAME_MAX + 1];
};

/* Names one shard of one checkpoint. */
struct shard_key {
    struct run_key run;
    uint32_t attempt;
    uint64_t step;
    uint32_t rank;
};

/* CKPT_UID_ANY is a user like any other here. */
static inline bool run_key_equal(const struct run_key *a, const struct run_key *b)
{
    return a->uid == b->uid && strncmp(a->name, b->name, sizeof(a->name)) == 0;
}

static inline bool shard_key_equal(const struct shard_key *a, const struct shard_key *b)
{
    return a->rank == b->rank && a->step == b->step && a->attempt == b->attempt &&
           run_key_equal(&a->run, &b->run);
}

#endif
