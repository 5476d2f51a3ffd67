/* SPDX-License-Identifier: Apache-2.0 */
/* Runs whose job has ended, and for how long they are kept all the same. */
#include "coordinator/linger.h"

#include <assert.h>

#include "base/planted_bug.h"
#include "coordinator/seat.h"

void coordinator_run_set_ended(struct coordinator *c, struct run *run, bool ended)
{
    assert(run->used);
    run->job.ended = ended;
    index_set_put(&c->runs_ended, run_index(c, run), ended);
}

uint64_t coordinator_run_linger_until_ms(const struct run *run)
{
    assert(run->used);
    const struct run_job *job = &run->job;
    if (job->linger_ms == 0) {
        return job->ended_ms;
    }
    uint64_t since_ms = job->ended_ms > run->active_ms ? job->ended_ms : run->active_ms;
    return since_ms + job->linger_ms;
}

bool coordinator_run_lingers(const struct coordinator *c, const struct run *run)
{
    assert(run->used);
    return run->job.ended &&
           (!coordinator_run_has_live_seat(c, run) || PLANTED_BUG(LINGER_WITH_RANKS));
}
