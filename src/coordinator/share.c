/* SPDX-License-Identifier: Apache-2.0 */
/* What one user may have of the tables. Root is under no such bound: it is nobody's neighbour. */
#include "base/share.h"

#include "coordinator/state.h"

struct holdings {
    uint64_t runs;
    uint64_t checkpoints;
    uint64_t shards;
};

static void add_run(const struct coordinator *c, const struct run *run, struct holdings *h)
{
    h->runs++;
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        const struct checkpoint *k = &c->checkpoints[i];
        if (k->state != CHECKPOINT_ABORTED) { /* those make room for whoever comes */
            h->checkpoints++;
            h->shards += k->world;
        }
    }
}

static void count(const struct coordinator *c, uint32_t uid, struct holdings *all_out,
                  struct holdings *mine_out)
{
    *all_out = *mine_out = (struct holdings){.runs = 0};
    for (uint32_t i = 0; i < c->runs_high; i++) {
        const struct run *run = &c->runs[i];
        if (run->used) {
            add_run(c, run, all_out);
        }
        if (run->used && run->key.uid == uid) {
            add_run(c, run, mine_out);
        }
    }
}

bool share_lets_begin(const struct coordinator *c, uint32_t uid)
{
    struct holdings all, mine;
    if (uid == 0) {
        return true;
    }
    count(c, uid, &all, &mine);
    return share_allows(c->config.runs_max, all.runs, mine.runs, 1, c->config.user_share_percent);
}

/* What is said where run_add() finds no room. */
const char *run_no_room(void)
{
    return "no room for another run of this user in the coordinator's tables: end jobs that are "
           "over, or raise runs_max or user_share";
}

/* Below the share of the whole table nobody has to be counted: the common case costs nothing. */
static bool is_roomy(const struct coordinator *c, uint32_t world)
{
    uint32_t percent = c->config.user_share_percent;
    uint64_t shards = c->config.shards_max - c->free_shards + c->reserved_shards + world;
    return shards * 100 <= (uint64_t)c->config.shards_max * percent &&
           (c->checkpoints_used + 1) * 100ULL <= (uint64_t)c->config.checkpoints_max * percent;
}

bool share_lets_open(const struct coordinator *c, uint32_t uid, uint32_t world, char *reason)
{
    struct holdings all, mine;
    uint32_t percent = c->config.user_share_percent;
    if (uid == 0 || is_roomy(c, world)) {
        return true;
    }
    count(c, uid, &all, &mine);
    if (share_allows(c->config.shards_max, all.shards, mine.shards, world, percent) &&
        share_allows(c->config.checkpoints_max, all.checkpoints, mine.checkpoints, 1, percent)) {
        return true;
    }
    say(reason,
        "user %u has %llu checkpoints with %llu shards in the coordinator's tables: that is his "
        "share; end jobs that are over, or raise shards_max, checkpoints_max or user_share",
        uid, (unsigned long long)mine.checkpoints, (unsigned long long)mine.shards);
    return false;
}
