/* SPDX-License-Identifier: Apache-2.0 */
/* What holds after every event. Cheap enough to stay on: it looks at checkpoints and runs, not at
 * shards; the simulator's judges re-read everything. */
#include "coordinator/state.h"

#include <assert.h>

static void check_checkpoint(const struct coordinator *c, const struct checkpoint *k)
{
    const struct run *run = &c->runs[k->run];
    assert(run->used);
    assert(k->sealed <= k->shards && k->shards <= k->world);
    assert(k->ready <= k->sealed);
    assert(k->state != CHECKPOINT_VERIFYING || k->sealed == k->world);
    assert(!checkpoint_is_committed(k) || k->shards == k->world);
    assert(k->state != CHECKPOINT_CONSISTENT || (run->has_latest && k->step <= run->latest));
    assert(k->state != CHECKPOINT_ABORTED || (k->shards == 0 && k->status != CKPT_OK));
    assert(k->attempt <= run->attempt);
}

static void check_run(const struct coordinator *c, const struct run *run)
{
    const struct session *e = &run->session;
    uint64_t above = UINT64_MAX;
    for (uint32_t i = run->first_checkpoint; i != NONE; i = c->checkpoints[i].next_in_run) {
        assert(c->checkpoints[i].step <= above);
        above = c->checkpoints[i].step;
    }
    assert(e->state != SESSION_PULLING || e->checkpoint != NONE);
    assert(e->checkpoint == NONE || e->state == SESSION_NONE || c->checkpoints[e->checkpoint].used);
    assert(e->state != SESSION_PULLING || e->ready < e->world);
}

void invariant_check(const struct coordinator *c)
{
    for (uint32_t i = 0; i < c->checkpoints_high; i++) {
        if (c->checkpoints[i].used) {
            check_checkpoint(c, &c->checkpoints[i]);
        }
    }
    for (uint32_t i = 0; i < c->runs_high; i++) {
        if (c->runs[i].used) {
            check_run(c, &c->runs[i]);
        }
    }
    assert(c->shards == NULL || c->free_shards <= c->config.shards_max);
    assert((c->queue_head == NONE) == (c->queue_tail == NONE));
}
