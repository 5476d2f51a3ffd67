/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks that say that they hold the same state.
 *
 * Data-parallel ranks stage a share each of what all of them hold, and say with each save a value
 * of a part that they did not stage: each names its leader, the lowest rank that holds the same. A
 * rank whose value of a part differs from its leader's has diverged, or the leader has: nobody
 * knows which, so that a checkpoint put together from shares of both would be of no state that any
 * rank was ever in. It is refused, and so is every later one of the attempt that was staged in
 * shares: another part may well be equal, the state is not.
 *
 * What is not said (by an agent that restarted between seal and commit, or by a rank that saves all
 * that it holds) is unknown, and no difference. */
#include "coordinator/replica.h"

#include <assert.h>

#include "coordinator/checkpoint.h"
#include "coordinator/shard.h"

void coordinator_replica_note(struct checkpoint *k, struct shard *s,
                              const struct message_shard_report *r)
{
    assert(k->used);
    assert(s->used);
    if (r->owner && r->replica_said) {
        k->in_shares = true;
        s->replica_said = true;
        s->replica_leader = r->replica_leader;
        s->replica_part = r->replica_part;
        s->replica_value = r->replica_value;
    }
}

/* The shard of the leader that s differs from; NULL: none, or it cannot be told. */
static const struct shard *differs_from(const struct coordinator *c, const struct checkpoint *k,
                                        const struct shard *s)
{
    assert(k->used);
    assert(s->used);
    if (!s->replica_said || s->replica_leader >= k->world) {
        return NULL;
    }
    const struct shard *leader = coordinator_shard_find(c, k, s->replica_leader);
    bool comparable = leader != NULL && leader->replica_said &&
                      leader->replica_leader == s->replica_leader &&
                      leader->replica_part == s->replica_part;
    return comparable && leader->replica_value != s->replica_value ? leader : NULL;
}

bool coordinator_replica_refuses(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    struct run *run = &c->runs[k->run];
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        const struct shard *s = &c->shards[i];
        const struct shard *leader = differs_from(c, k, s);
        if (leader != NULL) {
            run->diverged_attempt = k->attempt;
            run->diverged_step = k->step;
            coordinator_checkpoint_abort(
                c, k, CKPT_ERR_DIVERGED,
                "ranks %u and %u have diverged: part %u of the state that they hold "
                "alike differs; the next save must hold each rank's own",
                leader->rank, s->rank, s->replica_part);
            return true;
        }
    }
    if (run->diverged_attempt == k->attempt) {
        coordinator_checkpoint_abort(
            c, k, CKPT_ERR_DIVERGED,
            "ranks have diverged at step %llu, and this step was staged in shares: "
            "the next save must hold each rank's own",
            (unsigned long long)run->diverged_step);
        return true;
    }
    return false;
}
