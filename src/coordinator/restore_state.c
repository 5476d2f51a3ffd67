/* SPDX-License-Identifier: Apache-2.0 */
/* The load of a run, as the tables have it: what it waits for, and which checkpoint it uses. */
#include "coordinator/restore_state.h"

bool session_waits(const struct session *e)
{
    return e->state == SESSION_CHOOSING || e->state == SESSION_PULLING ||
           (e->state == SESSION_ENDED && e->verdicts_due);
}

void session_stirs(struct coordinator *c, const struct run *run)
{
    index_set_put(&c->runs_loading, run_index(c, run), session_waits(&run->session));
}

void restore_start(struct coordinator *c, struct run *run, const struct message_load_ask *ask)
{
    run->session = (struct session){.state = SESSION_CHOOSING,
                                    .id = c->next_session++,
                                    .attempt = ask->attempt,
                                    .load = ask->load,
                                    .world = ask->world,
                                    .step_wanted = ask->step,
                                    .started_ms = c->now_ms,
                                    .settle_ms = c->now_ms + c->config.restore_settle_ms,
                                    .decided = ask->attempt == run->verdict_attempt &&
                                               ask->load == run->verdict_load,
                                    .checkpoint = NONE};
    session_stirs(c, run);
}

bool session_is_asked(const struct session *e, const struct shard *s)
{
    return s->load_session == e->id && s->load_state != LOAD_NONE;
}

/* Processes that load again may have saved before they did, so that a commit says nothing of who
 * has its verdict: what they go back to stays until all of them have it or have given up. Of the
 * first load of an attempt, the next commit tells that every rank has gone on. */
static bool may_be_asked_again(const struct coordinator *c, const struct session *e)
{
    return e->status == CKPT_OK && e->load > 1 &&
           c->now_ms < e->started_ms + 2 * (uint64_t)c->config.restore_timeout_ms;
}

bool session_uses(const struct coordinator *c, const struct checkpoint *k)
{
    const struct session *e = &c->runs[k->run].session;
    return (e->state == SESSION_PULLING ||
            (e->state == SESSION_ENDED && (e->verdicts_due || may_be_asked_again(c, e)))) &&
           e->checkpoint == checkpoint_index(c, k);
}

bool session_may_use(const struct coordinator *c, const struct checkpoint *k)
{
    const struct run *run = &c->runs[k->run];
    const struct session *e = &run->session;
    bool chooses = e->state == SESSION_CHOOSING &&
                   (e->step_wanted == k->step ||
                    (e->step_wanted == CKPT_STEP_LATEST && k->state == CHECKPOINT_CONSISTENT));
    bool is_verdict = run->verdict_attempt == run->attempt && run->verdict_step == k->step;
    bool is_behind = false; /* every rank has gone on from the verdict */
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        is_behind = is_behind || (checkpoint_is_committed(&c->checkpoints[i]) &&
                                  c->checkpoints[i].attempt == run->attempt);
    }
    return session_uses(c, k) || chooses || (is_verdict && !is_behind);
}
