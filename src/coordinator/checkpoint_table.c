/* SPDX-License-Identifier: Apache-2.0 */
/* The table of checkpoints: finding, adding, removing, and the one place where a state changes. */
#include "coordinator/checkpoint_table.h"

#include <assert.h>
#include <string.h>

#include "coordinator/copy.h"
#include "coordinator/persist_state.h"
#include "coordinator/restore_state.h"
#include "coordinator/shard.h"
#include "coordinator/share.h"
#include "coordinator/table.h"

struct checkpoint *coordinator_checkpoint_find_step(struct coordinator *c, const struct run *run,
                                                    uint64_t step)
{
    assert(run->used);
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        if (k->step == step && k->state != CHECKPOINT_ABORTED) {
            return k;
        }
    }
    return NULL;
}

struct checkpoint *coordinator_checkpoint_find(struct coordinator *c, const struct run *run,
                                               uint32_t attempt, uint64_t step)
{
    assert(run->used);
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        struct checkpoint *k = &c->checkpoints[i];
        if (k->step == step && k->attempt == attempt) {
            return k;
        }
    }
    return NULL;
}

void coordinator_checkpoint_remove(struct coordinator *c, struct checkpoint *k)
{
    assert(k->used);
    coordinator_persist_give_up(c, k);
    coordinator_checkpoint_free_shards(c, k);
    struct restore *restore = &c->runs[k->run].restore;
    if (restore->state != RESTORE_NONE && restore->checkpoint == checkpoint_index(c, k)) {
        restore->checkpoint = NONE;
        restore->verdicts_due = false;
        restore->ready = 0;
        coordinator_restore_move(c, &c->runs[k->run],
                                 restore->state == RESTORE_PULLING
                                     ? RESTORE_CHOOSING
                                     : (enum restore_state)restore->state);
    }
    uint32_t *link = &c->runs[k->run].first_checkpoint;
    while (*link != checkpoint_index(c, k)) {
        assert(*link != NONE);
        link = &c->checkpoints[*link].next_in_run;
    }
    *link = k->next_in_run;
    index_set_remove(&c->checkpoints_open, checkpoint_index(c, k));
    index_set_remove(&c->checkpoints_aborted, checkpoint_index(c, k));
    index_set_add(&c->checkpoints_free, checkpoint_index(c, k));
    coordinator_share_checkpoint(c, k, false);
    assert(c->checkpoints_used > 0);
    c->checkpoints_used--;
    memset(k, 0, sizeof *k);
}

/* An aborted checkpoint is kept only so that late reports of it get the true answer. */
static struct checkpoint *checkpoint_evict(struct coordinator *c)
{
    uint32_t place = index_set_from(&c->checkpoints_aborted, 0);
    if (place == NONE) {
        return NULL;
    }
    coordinator_checkpoint_remove(c, &c->checkpoints[place]);
    index_set_remove(&c->checkpoints_free, place);
    return &c->checkpoints[place];
}

void coordinator_checkpoint_set_state(struct coordinator *c, struct checkpoint *k,
                                      enum checkpoint_state state)
{
    assert(k->used);
    uint32_t place = checkpoint_index(c, k);
    bool was_consistent = k->state == CHECKPOINT_CONSISTENT;
    k->state = (uint8_t)state;
    if (was_consistent != (state == CHECKPOINT_CONSISTENT)) {
        coordinator_checkpoint_weigh(c, k);
    }
    index_set_put(&c->checkpoints_open, place, checkpoint_is_open(k));
    index_set_put(&c->checkpoints_aborted, place, state == CHECKPOINT_ABORTED);
    coordinator_share_checkpoint(
        c, k, state != CHECKPOINT_ABORTED); /* those make room for whoever comes */
    index_set_add(&c->runs_keeping, k->run);
    coordinator_checkpoint_touch(c, k);
}

struct checkpoint *coordinator_checkpoint_add(struct coordinator *c, struct run *run,
                                              uint32_t attempt, uint64_t step, uint32_t world)
{
    assert(run->used);
    uint32_t place = coordinator_table_take(&c->checkpoints_free, &c->checkpoints_high,
                                            c->config.checkpoints_max);
    struct checkpoint *k = place == NONE ? checkpoint_evict(c) : &c->checkpoints[place];
    if (k == NULL) {
        return NULL;
    }
    c->checkpoints_used++;
    *k = (struct checkpoint){.used = true,
                             .run = run_index(c, run),
                             .attempt = attempt,
                             .step = step,
                             .world = world,
                             .first_shard = NONE,
                             .progress_ms = c->now_ms};
    uint32_t *link = &run->first_checkpoint;
    while (*link != NONE && c->checkpoints[*link].step > step) {
        link = &c->checkpoints[*link].next_in_run;
    }
    k->next_in_run = *link;
    *link = checkpoint_index(c, k);
    coordinator_checkpoint_set_state(c, k, CHECKPOINT_OPEN);
    return k;
}
