/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a folder, kept until it is looked at: a medium is not called from its own list. */
#ifndef CKPT_TIER_WALK_H
#define CKPT_TIER_WALK_H

#include "tier/state.h"

struct walk_thing {
    char *name; /* as it is, whoever gave it */
    enum tier_thing thing;
    uint64_t bytes;
};

struct walk {
    struct walk_thing *things; /* in the order of their names */
    size_t count;
    size_t room;
    bool is_short; /* of memory */
};

/* All of a folder; for walk_end() in any case. */
enum ckpt_status walk_begin(struct tier *tier, const char *folder, struct walk *walk,
                            char *reason_out);
void walk_end(struct walk *walk);

/* The thing of that name, or NULL. */
const struct walk_thing *walk_find(const struct walk *walk, const char *name);

#endif
