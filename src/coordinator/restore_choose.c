/* SPDX-License-Identifier: Apache-2.0 */
/* Which step a load restores: the newest consistent one, of the ranks' world, of which every shard
 * has a good copy.
 *
 * A copy that nobody has reported is away, and absence is no evidence: the load waits for it, says
 * for which node, and gives nothing up. Only when every node on which a shard's copies belong has
 * told what it holds, and none of it is good, the step is given up after restore_passes, and the
 * next older one is tried. */
#include "coordinator/restore_choose.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/reason.h"
#include "base/planted_bug.h"
#include "coordinator/checkpoint.h"
#include "coordinator/home.h"
#include "coordinator/restore_state.h"
#include "coordinator/shard.h"
#include "coordinator/update.h"
#include "coordinator/verdict.h"

/* Every shard has a copy that is good, or that may turn out to be. */
static bool all_shards_alive(const struct coordinator *c, const struct checkpoint *k,
                             bool *held_out, uint32_t *rank_out)
{
    assert(k->used);
    for (uint32_t i = k->first_shard; i != NONE; i = c->shards[i].next_in_checkpoint) {
        const struct shard *s = &c->shards[i];
        bool good = false;
        bool held = false;
        for (uint32_t j = 0; j < COORDINATOR_COPIES_MAX; j++) {
            good = good || copy_is_good(s, &s->copies[j]);
            held = held || (s->copies[j].member != NONE && s->copies[j].state == COPY_ADOPTED);
        }
        if (!good) {
            *rank_out = s->rank;
            *held_out = held;
            return false;
        }
    }
    return true;
}

static void name_node(char *nodes_out, const char *node)
{
    size_t used = strlen(nodes_out);
    snprintf(nodes_out + used, CKPT_REASON_MAX + 1 - used, "%s%s", used > 0 ? ", " : "", node);
}

bool coordinator_shard_is_away(const struct coordinator *c, const struct shard *s, char *nodes_out)
{
    assert(s->used);
    bool away = false;
    nodes_out[0] = '\0';
    if (PLANTED_BUG(QUARANTINE_THE_ABSENT)) {
        return false;
    }
    for (uint32_t i = 0; i < CKPT_COPIES_MAX; i++) {
        if (s->homes[i] != NONE && !coordinator_home_is_heard(c, &c->homes[s->homes[i]])) {
            name_node(nodes_out, c->homes[s->homes[i]].node);
            away = true;
        }
    }
    if (!coordinator_shard_has_homes(s)) {
        name_node(nodes_out, "which is not on record (an earlier version saved it)");
        away = true;
    }
    return away;
}

/* A copy whose digest is under way, or is asked for. */
static bool shard_is_being_proven(const struct shard *s)
{
    assert(s->used);
    for (uint32_t i = 0; i < COORDINATOR_COPIES_MAX; i++) {
        const struct copy *copy = &s->copies[i];
        if (copy->member != NONE && !copy->cached &&
            (copy->state == COPY_ADOPTED || copy->order_kind == ORDER_VERIFY)) {
            return true;
        }
    }
    return false;
}

static struct checkpoint *candidate(struct coordinator *c, struct run *run)
{
    assert(run->used);
    struct restore *restore = &run->restore;
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        bool wanted = restore->step_wanted == CKPT_STEP_LATEST
                          ? k->state == CHECKPOINT_CONSISTENT
                          : k->step == restore->step_wanted && checkpoint_is_committed(k);
        bool decided_so = !restore->decided || k->step == run->verdict_step;
        if (wanted && decided_so && (!restore->tried || k->step < restore->below)) {
            return k;
        }
    }
    return NULL;
}

static void end_without_candidate(struct coordinator *c, struct run *run)
{
    assert(run->used);
    char reason[CKPT_REASON_MAX + 1];
    struct restore *restore = &run->restore;
    if (restore->decided) {
        coordinator_restore_end(c, run, CKPT_ERR_RETIRED,
                                "the checkpoint of this load was retired since: load again");
    } else if (restore->tried) {
        reason_set(reason, "no checkpoint is left of which every shard has a good copy");
        coordinator_restore_end(c, run, CKPT_ERR_LOST, reason);
    } else if (restore->step_wanted != CKPT_STEP_LATEST) {
        reason_set(reason, "step %llu is not a consistent checkpoint of this run",
                   (unsigned long long)restore->step_wanted);
        coordinator_restore_end(c, run, CKPT_ERR_NOT_FOUND, reason);
    } else if (coordinator_run_newest_quarantined(c, run) != NULL) {
        const struct checkpoint *k = coordinator_run_newest_quarantined(c, run);
        reason_set(reason,
                   "the run has no consistent checkpoint left: step %llu is quarantined: %.150s",
                   (unsigned long long)k->step, k->reason);
        coordinator_restore_end(c, run, CKPT_ERR_NO_CHECKPOINT, reason);
    } else {
        coordinator_restore_end(c, run, CKPT_ERR_NO_CHECKPOINT,
                                "the run has no consistent checkpoint");
    }
}

/* A committed checkpoint older than k of which every shard has a good copy. */
static bool older_is_alive(const struct coordinator *c, const struct run *run,
                           const struct checkpoint *k)
{
    assert(run->used);
    assert(k->used);
    bool held;
    uint32_t rank;
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        const struct checkpoint *other = &c->checkpoints[i];
        if (other->state == CHECKPOINT_CONSISTENT && other->step < k->step &&
            all_shards_alive(c, other, &held, &rank)) {
            return true;
        }
    }
    return false;
}

static bool a_member_is_lost(const struct coordinator *c)
{
    return index_set_from(&c->members_lost, 0) != NONE;
}

void coordinator_restore_pass_failed(struct coordinator *c, struct run *run, struct checkpoint *k,
                                     uint32_t rank)
{
    assert(run->used);
    assert(k->used);
    struct restore *restore = &run->restore;
    char reason[CKPT_REASON_MAX + 1];
    char nodes[CKPT_REASON_MAX + 1];
    struct shard *s = coordinator_shard_find(c, k, rank);
    if (s == NULL || shard_is_being_proven(s)) {
        return;
    }
    if (coordinator_shard_is_away(c, s, nodes)) {
        reason_set(
            restore->waits,
            "step %llu: the copies of rank %u's shard are away, on node %.120s: bring one back, or "
            "give the step up with ckptctl mark poisoned",
            (unsigned long long)k->step, rank, nodes);
        return;
    }
    if (c->now_ms < restore->pass_ms + c->config.resend_ms) {
        return;
    }
    restore->pass_ms = c->now_ms;
    restore->passes++;
    k->restore_failures++;
    if (restore->passes < c->config.restore_passes) {
        return;
    }
    reason_set(reason, "step %llu: no good copy of rank %u's shard is reachable",
               (unsigned long long)k->step, rank);
    if (restore->step_wanted != CKPT_STEP_LATEST || restore->decided) {
        coordinator_restore_end(c, run, CKPT_ERR_LOST, reason);
        return;
    }
    if (!older_is_alive(c, run, k) && a_member_is_lost(c)) {
        reason_set(
            reason,
            "step %llu: no good copy of rank %u's shard is reachable, but a node that is away may "
            "have one: bring it back, or give the step up with ckptctl retire",
            (unsigned long long)k->step, rank);
        coordinator_restore_end(c, run, CKPT_ERR_LOST, reason);
        return;
    }
    restore->tried = true;
    restore->below = k->step;
    restore->checkpoint = NONE;
    coordinator_restore_move(c, run, RESTORE_CHOOSING);
    restore->passes = 0;
    restore->ready = 0;
    restore->id = c->next_restore++; /* what ranks were asked for the failed step is void */
    if (k->state == CHECKPOINT_CONSISTENT) {
        coordinator_checkpoint_quarantine(c, k, reason);
    }
}

static bool newer_is_verifying(const struct coordinator *c, const struct run *run,
                               const struct checkpoint *k)
{
    assert(run->used);
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        const struct checkpoint *other = &c->checkpoints[i];
        if (other->state == CHECKPOINT_VERIFYING && (k == NULL || other->step > k->step)) {
            return true;
        }
    }
    return false;
}

void coordinator_restore_choose(struct coordinator *c, struct run *run)
{
    assert(run->used);
    struct restore *restore = &run->restore;
    struct checkpoint *k = candidate(c, run);
    bool settling = c->now_ms < restore->settle_ms;
    bool held = false;
    uint32_t rank = 0;
    if (settling && restore->step_wanted == CKPT_STEP_LATEST && !restore->decided &&
        newer_is_verifying(c, run, k)) {
        return;
    }
    if (k == NULL) {
        end_without_candidate(c, run);
        return;
    }
    if (k->world != restore->world) {
        char reason[CKPT_REASON_MAX + 1];
        reason_set(reason,
                   "step %llu was saved by %u ranks, not %u: read it with ckpt_info and ckpt_fetch",
                   (unsigned long long)k->step, k->world, restore->world);
        coordinator_restore_end(c, run, CKPT_ERR_WORLD, reason);
        return;
    }
    if (!all_shards_alive(c, k, &held, &rank)) {
        char nodes[CKPT_REASON_MAX + 1];
        bool away = coordinator_shard_is_away(c, coordinator_shard_find(c, k, rank), nodes);
        if (away || (!settling && !held)) {
            coordinator_restore_pass_failed(c, run, k, rank);
        }
        return;
    }
    restore->waits[0] = '\0';
    /* What is still open would make `latest` move under ranks that have gone back to this step. */
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *open = &c->checkpoints[i];
        if (!checkpoint_is_open(open)) {
            continue;
        }
        if (!coordinator_update_has_room(c, 4)) {
            return; /* the next ask goes on */
        }
        coordinator_checkpoint_abort(c, open, CKPT_ERR_ABORTED, "the run restores step %llu",
                                     (unsigned long long)k->step);
    }
    restore->checkpoint = checkpoint_index(c, k);
    coordinator_restore_move(c, run, RESTORE_PULLING);
    run->chosen = true;
}
