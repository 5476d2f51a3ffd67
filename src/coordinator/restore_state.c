/* SPDX-License-Identifier: Apache-2.0 */
/* The load of a run, as the tables have it: what it waits for, and which checkpoint it uses. */
#include "coordinator/restore_state.h"

#include <assert.h>

bool coordinator_restore_waits(const struct restore *restore)
{
    return restore->state == RESTORE_CHOOSING || restore->state == RESTORE_PULLING ||
           (restore->state == RESTORE_ENDED && restore->verdicts_due);
}

/*   NONE --first ask--> CHOOSING --a step is fit--> PULLING --all ranks are ready--> ENDED
 *
 *   PULLING, ENDED -> CHOOSING     a rank has no good copy left to read: an older step is tried
 *   CHOOSING, PULLING -> ENDED     no step is left, or the time is over
 *   ENDED -> PULLING               nobody has heard of the good end, and a rank's copy is gone
 *   any -> CHOOSING                a later load */
static const unsigned moves[] = {
    [RESTORE_NONE] = TO(RESTORE_CHOOSING),
    [RESTORE_CHOOSING] = TO(RESTORE_CHOOSING) | TO(RESTORE_PULLING) | TO(RESTORE_ENDED),
    [RESTORE_PULLING] = TO(RESTORE_CHOOSING) | TO(RESTORE_PULLING) | TO(RESTORE_ENDED),
    [RESTORE_ENDED] = TO(RESTORE_CHOOSING) | TO(RESTORE_PULLING) | TO(RESTORE_ENDED),
};

void coordinator_restore_move(struct coordinator *c, struct run *run, enum restore_state to)
{
    assert(run->used);
    assert(MAY_MOVE(moves, run->restore.state, to));
    run->restore.state = (uint8_t)to;
    coordinator_restore_stirs(c, run);
}

void coordinator_restore_stirs(struct coordinator *c, const struct run *run)
{
    assert(run->used);
    index_set_put(&c->runs_loading, run_index(c, run), coordinator_restore_waits(&run->restore));
}

void coordinator_restore_start(struct coordinator *c, struct run *run,
                               const struct message_load_ask *ask)
{
    assert(run->used);
    run->restore = (struct restore){.state = run->restore.state,
                                    .id = c->next_restore++,
                                    .attempt = ask->attempt,
                                    .load = ask->load,
                                    .world = ask->world,
                                    .step_wanted = ask->step,
                                    .started_ms = c->now_ms,
                                    .asked_ms = c->now_ms,
                                    .settle_ms = c->now_ms + c->config.restore_settle_ms,
                                    .decided = ask->attempt == run->verdict_attempt &&
                                               ask->load == run->verdict_load,
                                    .checkpoint = NONE};
    coordinator_restore_move(c, run, RESTORE_CHOOSING);
}

bool coordinator_restore_is_asked(const struct restore *restore, const struct shard *s)
{
    assert(s->used);
    return s->load_restore == restore->id && s->load_state != LOAD_NONE;
}

/*   NONE --its rank asks--> ASKED --its copy is good--> READY --the verdict goes--> ANSWERED
 *
 *   ASKED -> ANSWERED       the verdict is that there is nothing to restore
 *   any -> NONE             the copy is gone, or the process that asked
 *   any -> ASKED            a later load, or where the rank is now */
static const unsigned load_moves[] = {
    [LOAD_NONE] = TO(LOAD_NONE) | TO(LOAD_ASKED),
    [LOAD_ASKED] = TO(LOAD_NONE) | TO(LOAD_ASKED) | TO(LOAD_READY) | TO(LOAD_ANSWERED),
    [LOAD_READY] = TO(LOAD_NONE) | TO(LOAD_ASKED) | TO(LOAD_ANSWERED),
    [LOAD_ANSWERED] = TO(LOAD_NONE) | TO(LOAD_ASKED) | TO(LOAD_ANSWERED),
};

void coordinator_load_move(struct shard *s, enum load_state to)
{
    assert(s->used);
    assert(MAY_MOVE(load_moves, s->load_state, to));
    s->load_state = (uint8_t)to;
}

void coordinator_restore_forget_ask(struct coordinator *c, struct run *run, struct shard *s)
{
    assert(run->used && c->checkpoints[s->checkpoint].run == run_index(c, run));
    struct restore *restore = &run->restore;
    bool untold = restore->state == RESTORE_ENDED && restore->status == CKPT_OK && !restore->told;
    if (s->load_state == LOAD_READY && (restore->state == RESTORE_PULLING || untold)) {
        assert(restore->ready > 0);
        restore->ready--;
        restore->verdicts_due = false;
        /* Nobody has heard that all was well: it is not any more. */
        coordinator_restore_move(c, run, RESTORE_PULLING);
    }
    coordinator_load_move(s, LOAD_NONE);
}

/* Processes that load again may have saved before they did, so that a commit says nothing of who
 * has its verdict: what they go back to stays until all of them have it or have given up. Of the
 * first load of an attempt, the next commit tells that every rank has gone on. */
static bool may_be_asked_again(const struct coordinator *c, const struct restore *restore)
{
    assert(restore->state != RESTORE_NONE);
    return restore->status == CKPT_OK && restore->load > 1 &&
           c->now_ms < restore->started_ms + 2 * (uint64_t)c->config.restore_timeout_ms;
}

bool coordinator_restore_uses(const struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    const struct restore *restore = &c->runs[k->run].restore;
    return (restore->state == RESTORE_PULLING ||
            (restore->state == RESTORE_ENDED &&
             (restore->verdicts_due || may_be_asked_again(c, restore)))) &&
           restore->checkpoint == checkpoint_index(c, k);
}

bool coordinator_restore_may_use(const struct coordinator *c, const struct checkpoint *k)
{
    assert(k->used);
    const struct run *run = &c->runs[k->run];
    const struct restore *restore = &run->restore;
    bool chooses = restore->state == RESTORE_CHOOSING &&
                   (restore->step_wanted == k->step || (restore->step_wanted == CKPT_STEP_LATEST &&
                                                        k->state == CHECKPOINT_CONSISTENT));
    bool is_verdict = run->verdict_attempt == run->attempt && run->verdict_step == k->step;
    bool is_behind = false; /* every rank has gone on from the verdict */
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        is_behind = is_behind || (checkpoint_is_committed(&c->checkpoints[i]) &&
                                  c->checkpoints[i].attempt == run->attempt);
    }
    return coordinator_restore_uses(c, k) || chooses || (is_verdict && !is_behind);
}
