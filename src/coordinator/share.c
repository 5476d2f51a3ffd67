/* SPDX-License-Identifier: Apache-2.0 */
/* What one user may have of the tables. Root is under no such bound: it is nobody's neighbour, and
 * a sixteenth of each table is for it alone, so that no number of users keeps it out. What each has
 * is counted as it comes and goes, so that asking costs the same however much there is. */
#include "coordinator/share.h"

#include <assert.h>

#include "base/share.h"
#include "base/reason.h"
#include "coordinator/copy.h"
#include "coordinator/fit.h"
#include "coordinator/table.h"

static uint32_t *bucket_of(const struct coordinator *c, uint32_t uid)
{
    return &c->user_buckets[(uid * 2654435761u) & c->run_mask];
}

static uint32_t user_find(const struct coordinator *c, uint32_t uid)
{
    uint32_t i = *bucket_of(c, uid);
    while (i != NONE && c->users[i].uid != uid) {
        i = c->users[i].next_in_bucket;
    }
    return i;
}

static uint32_t user_add(struct coordinator *c, uint32_t uid)
{
    uint32_t *bucket = bucket_of(c, uid);
    uint32_t user = coordinator_table_take(&c->users_free, &c->users_high, c->config.runs_max);
    assert(user != NONE); /* each has a run */
    c->users[user] = (struct holdings){.uid = uid, .next_in_bucket = *bucket};
    *bucket = user;
    return user;
}

static void user_remove(struct coordinator *c, uint32_t user)
{
    assert(user < c->users_high);
    uint32_t *at = bucket_of(c, c->users[user].uid);
    assert(c->users[user].checkpoints == 0 && c->users[user].shards == 0);
    while (*at != user) {
        assert(*at != NONE);
        at = &c->users[*at].next_in_bucket;
    }
    *at = c->users[user].next_in_bucket;
    index_set_add(&c->users_free, user);
}

void coordinator_share_run(struct coordinator *c, struct run *run, bool is_there)
{
    assert(run->used);
    if (is_there) {
        uint32_t user = user_find(c, run->key.uid);
        run->user = user != NONE ? user : user_add(c, run->key.uid);
    }
    assert(is_there || (c->users[run->user].runs > 0 && c->held.runs > 0));
    c->users[run->user].runs += is_there ? 1 : -1ULL;
    c->held.runs += is_there ? 1 : -1ULL;
    if (c->users[run->user].runs == 0) {
        user_remove(c, run->user);
    }
}

void coordinator_share_checkpoint(struct coordinator *c, struct checkpoint *k, bool counts)
{
    assert(k->used);
    struct holdings *user = &c->users[c->runs[k->run].user];
    if (k->counted == counts) {
        return;
    }
    assert(counts || (user->checkpoints > 0 && user->shards >= k->world));
    k->counted = counts;
    user->checkpoints += counts ? 1 : -1ULL;
    c->held.checkpoints += counts ? 1 : -1ULL;
    user->shards += counts ? k->world : -(uint64_t)k->world;
    c->held.shards += counts ? k->world : -(uint64_t)k->world;
}

static struct holdings holdings_of(const struct coordinator *c, uint32_t uid)
{
    uint32_t user = user_find(c, uid);
    const struct holdings none = {.runs = 0};
    return user == NONE ? none : c->users[user];
}

static bool lets(const struct coordinator *c, uint64_t size, uint64_t used, uint64_t mine,
                 uint64_t more)
{
    return share_allows(size, used, mine, more, c->config.user_share_percent) &&
           used + more <= size - size / 16;
}

bool coordinator_share_lets_begin(const struct coordinator *c, uint32_t uid)
{
    const struct holdings mine = holdings_of(c, uid);
    return uid == 0 || lets(c, c->config.runs_max, c->held.runs, mine.runs, 1);
}

const char *coordinator_run_no_room(void)
{
    return "no room for another run of this user in the coordinator's tables: end jobs that are "
           "over, or raise runs_max or user_share";
}

bool coordinator_share_lets_open(const struct coordinator *c, uint32_t uid, uint32_t world,
                                 char *reason)
{
    const struct holdings mine = holdings_of(c, uid);
    if (uid == 0 ||
        (lets(c, c->config.shards_max, c->held.shards, mine.shards, world) &&
         lets(c, c->config.checkpoints_max, c->held.checkpoints, mine.checkpoints, 1))) {
        return true;
    }
    reason_set(
        reason,
        "user %u has %llu checkpoints with %llu shards in the coordinator's tables: that is his "
        "share; end jobs that are over, or raise shards_max, checkpoints_max or user_share",
        uid, (unsigned long long)mine.checkpoints, (unsigned long long)mine.shards);
    return false;
}

bool coordinator_share_is_larger(const struct coordinator *c, uint32_t uid, uint32_t than)
{
    const struct holdings his = holdings_of(c, uid);
    const struct holdings other = holdings_of(c, than);
    return his.checkpoints > other.checkpoints || his.shards > other.shards;
}

/* Of the member's bytes those that the user's runs hold and that are given up for nobody: of
 * newest consistent checkpoints, and of what may become one. A run whose job has ended gives. */
static uint64_t firm_bytes(struct coordinator *c, uint32_t member, uint32_t uid)
{
    assert(member < c->member_count);
    uint64_t bytes = 0;
    for (uint32_t i = c->members[member].first_copy; i != NONE;) {
        struct copy *copy;
        const struct shard *s = coordinator_copy_shard(c, i, &copy);
        i = copy->next;
        const struct checkpoint *k = &c->checkpoints[s->checkpoint];
        const struct run *run = &c->runs[k->run];
        bool is_firm = checkpoint_is_open(k) || (run->has_latest && k->step >= run->latest);
        if (run->key.uid == uid && is_firm && !run->job.ended) {
            bytes += coordinator_shard_room(c, s, member);
        }
    }
    return bytes;
}

bool coordinator_share_lets_settle(struct coordinator *c, uint32_t member, uint32_t uid,
                                   char *reason)
{
    assert(member < c->member_count);
    const struct member *m = &c->members[member];
    uint64_t firm = uid == 0 ? 0 : firm_bytes(c, member, uid);
    uint64_t bytes = m->segments * m->segment_bytes;
    if (uid == 0 || firm * 100 < bytes * c->config.user_share_percent) {
        return true;
    }
    reason_set(
        reason,
        "the newest checkpoints of other runs of user %u take %llu of %llu bytes of node %s: that "
        "is his share; end those that are over (ckptctl job), or raise user_share",
        uid, (unsigned long long)firm, (unsigned long long)bytes, m->node);
    return false;
}
