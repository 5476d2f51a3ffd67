/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's bytes to all ranks of a group, and their proof. */
#ifndef CKPT_FANOUT_BRING_H
#define CKPT_FANOUT_BRING_H

#include "client/deadline.h"
#include "fanout/plan.h"
#include "fanout/state.h"
#include "fanout/words.h"

/* What all ranks know of it when it begins. */
struct bring_order {
    const struct fanout_plan *plan;
    const struct word_plan *word; /* the leader's */
    const uint8_t *source;        /* this rank's, where it sends; else NULL */
    uint8_t *target;              /* where it comes to, else */
};

/* Returns when every rank has all of it, as the leader says, or when the group is to be given up:
 * the others are to be told then. *wrong_out counts pieces that came and are not what was sent; a
 * rank that has such goes on with the others, who may be fed by it, and takes none of it. */
enum ckpt_status bring(struct ckpt_fanout *group, const struct bring_order *order,
                       struct deadline deadline, uint64_t *wrong_out);

#endif
