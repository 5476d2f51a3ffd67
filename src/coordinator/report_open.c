/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint opens at the first report of it, or is refused. */
#include "coordinator/report_open.h"

#include <assert.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/checkpoint.h"
#include "coordinator/checkpoint_table.h"
#include "coordinator/fence.h"
#include "coordinator/report_ack.h"
#include "coordinator/room.h"
#include "coordinator/run.h"
#include "coordinator/share.h"

/* The checkpoint was never heard of, or is forgotten: may this report open it? */
static enum ckpt_status may_open(struct coordinator *c, const struct run *run,
                                 const struct message_shard_report *r, char *reason)
{
    const struct fence *fence = run == NULL ? coordinator_fence_find(c, &r->shard.run) : NULL;
    uint32_t newest = run != NULL ? run->attempt : fence != NULL ? fence->attempt : 0;
    if (r->shard.attempt < newest) {
        reason_set(reason, "attempt %u is over: attempt %u has begun", r->shard.attempt, newest);
        return CKPT_ERR_ATTEMPT;
    }
    if (fence != NULL && r->shard.attempt <= fence->withdrawn_attempt &&
        r->shard.step <= fence->withdrawn_step) {
        reason_set(reason, "step %llu was retired, and its run forgotten",
                   (unsigned long long)r->shard.step);
        return CKPT_ERR_RETIRED;
    }
    if (run != NULL && run->has_latest && r->shard.step <= run->latest &&
        !PLANTED_BUG(LATEST_BACK)) {
        reason_set(reason, "step %llu is not after the newest consistent step %llu",
                   (unsigned long long)r->shard.step, (unsigned long long)run->latest);
        return CKPT_ERR_STEP;
    }
    if (run != NULL && r->shard.attempt <= run->withdrawn_attempt &&
        r->shard.step <= run->withdrawn_step) {
        reason_set(reason, "step %llu was retired by command", (unsigned long long)r->shard.step);
        return CKPT_ERR_RETIRED;
    }
    if (run != NULL && run->attempt == r->shard.attempt && run->world != 0 &&
        run->world != r->world) {
        reason_set(reason, "world is %u, but attempt %u of this run has %u", r->world, run->attempt,
                   run->world);
        return CKPT_ERR_WORLD;
    }
    if (c->free_shards - c->reserved_shards < r->world) {
        reason_set(reason, "no room for %u shards in the coordinator's tables: raise shards_max",
                   r->world);
        return CKPT_ERR_FULL;
    }
    if (c->held.checkpoints >= c->config.checkpoints_max) {
        reason_set(reason, "no room for another checkpoint in the coordinator's tables: raise "
                           "checkpoints_max");
        return CKPT_ERR_FULL;
    }
    return coordinator_share_lets_open(c, r->shard.run.uid, r->world, reason) ? CKPT_OK
                                                                              : CKPT_ERR_FULL;
}

/* What saves the run's next step takes the place of its newest in the end: as long as there is one
 * in the tables at all, no share ends a run that has begun. One at a time. */
static bool may_go_on(const struct coordinator *c, const struct run *run, uint32_t world)
{
    assert(run->used);
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        if (checkpoint_is_open(&c->checkpoints[i])) {
            return false;
        }
    }
    return run->has_latest && c->free_shards - c->reserved_shards >= world &&
           c->held.checkpoints < c->config.checkpoints_max;
}

struct checkpoint *coordinator_report_open(struct coordinator *c, uint32_t member,
                                           const struct message_shard_report *r)
{
    assert(member < c->member_count);
    char reason[CKPT_REASON_MAX + 1] = "";
    struct run *run = coordinator_run_find(c, &r->shard.run);
    bool is_first = r->owner && r->state != COPY_ADOPTED && !r->cached;
    enum ckpt_status status = may_open(c, run, r, reason);
    while (status == CKPT_ERR_FULL && is_first && coordinator_make_place(c, &r->shard.run)) {
        status = may_open(c, run, r, reason);
    }
    if (status == CKPT_ERR_FULL && is_first && run != NULL && may_go_on(c, run, r->world)) {
        status = CKPT_OK;
    }
    if (status != CKPT_OK) {
        coordinator_report_refuse(c, member, r, CHECKPOINT_RETIRED, status, reason);
        return NULL;
    }
    if (!is_first) {
        /* A holder's copy without its owner: the owner may still be on its way, after a restart. An
         * owner's that is being digested: its next word may be on its way, and is what counts. */
        bool wait = c->now_ms < c->started_ms + c->config.restore_settle_ms || r->owner;
        if (wait) {
            coordinator_report_ack(c, member, r, NULL, CKPT_OK, "");
        } else {
            coordinator_report_refuse(c, member, r, CHECKPOINT_ABORTED, CKPT_ERR_ABORTED,
                                      "its owner is gone");
        }
        return NULL;
    }
    bool is_new = run == NULL || run->first_checkpoint == NONE;
    if (is_new && !coordinator_share_lets_settle(c, member, r->shard.run.uid, reason)) {
        coordinator_report_refuse(c, member, r, CHECKPOINT_NONE, CKPT_ERR_FULL, reason);
        return NULL;
    }
    run = run != NULL ? run : coordinator_run_add(c, &r->shard.run);
    if (run == NULL) {
        coordinator_report_refuse(c, member, r, CHECKPOINT_NONE, CKPT_ERR_FULL,
                                  coordinator_run_no_room());
        return NULL;
    }
    if (r->shard.attempt > run->attempt) {
        coordinator_run_raise_attempt(c, run, r->shard.attempt, false, &(struct nonce){{0}});
    }
    run->begun = true;
    struct checkpoint *k =
        coordinator_checkpoint_add(c, run, r->shard.attempt, r->shard.step, r->world);
    if (k == NULL) {
        coordinator_report_refuse(
            c, member, r, CHECKPOINT_NONE, CKPT_ERR_FULL,
            "no room for another checkpoint in the coordinator's tables: raise checkpoints_max");
        return NULL;
    }
    k->copies = r->copies;
    k->reserved = k->world;
    c->reserved_shards += k->world;
    run->world = r->world;
    return k;
}
