/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that nobody saves, loads or reads any more, and that no rank is connected of, are given up,
 * loudly, after a long time: where no scheduler says that a job has ended, nothing else would. The
 * newest consistent checkpoint of a run goes only where the site said so.
 *
 * The time is counted from the start of this life of the coordinator at the earliest: nothing here
 * asks what day it is, so a restart gives every run its whole time again. */
#include "coordinator/expire.h"

#include <assert.h>

#include "coordinator/job.h"
#include "coordinator/note.h"
#include "coordinator/restore_state.h"
#include "coordinator/seat.h"
#include "coordinator/update.h"

#define LOOKS 16 /* runs that one round looks at */

static uint64_t idle_since_ms(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    uint64_t since_ms = run->active_ms > run->touched_ms ? run->active_ms : run->touched_ms;
    return since_ms > c->started_ms ? since_ms : c->started_ms;
}

/* Whether there is anything that expires. A checkpoint that is open is work under way. */
static bool has_something(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    uint32_t consistent = 0;
    uint32_t others = 0;
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        const struct checkpoint *k = &c->checkpoints[i];
        if (checkpoint_is_open(k) || coordinator_restore_uses(c, k)) {
            return false;
        }
        consistent += k->state == CHECKPOINT_CONSISTENT;
        others += k->state == CHECKPOINT_QUARANTINED;
    }
    return c->config.expire_last ? consistent + others > 0
                                 : consistent > 1 || (consistent == 1 && others > 0);
}

static void expire(struct coordinator *c, struct run *run)
{
    assert(run->used);
    bool all = c->config.expire_last;
    if (coordinator_run_has_live_seat(c, run)) {
        run->active_ms = c->now_ms; /* its ranks are connected: it computes for long */
        return;
    }
    if (coordinator_restore_waits(&run->restore) || !has_something(c, run)) {
        return;
    }
    coordinator_note(c, EVENT_run_expired, about_run(run, run->latest),
                     "nobody has saved, loaded or read it for %llu s: %s",
                     (unsigned long long)((c->now_ms - idle_since_ms(c, run)) / 1000),
                     all ? "nothing of it is kept any more" : "only its newest checkpoint is kept");
    (void)coordinator_run_release(c, run, all, "the run has expired");
}

void coordinator_expire_tick(struct coordinator *c)
{
    uint32_t looks = c->runs_high < LOOKS ? c->runs_high : LOOKS;
    if (c->config.expire_ms == 0 || c->now_ms < c->started_ms + c->config.expire_ms) {
        return;
    }
    for (uint32_t n = 0; n < looks && coordinator_update_has_room(c, 4); n++) {
        c->expire_next = c->expire_next + 1 < c->runs_high ? c->expire_next + 1 : 0;
        struct run *run = &c->runs[c->expire_next];
        if (run->used && c->now_ms >= idle_since_ms(c, run) + c->config.expire_ms) {
            expire(c, run);
        }
    }
}
