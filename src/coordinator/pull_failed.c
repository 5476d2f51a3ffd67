/* SPDX-License-Identifier: Apache-2.0 */
/* A pull that failed: the copy was not made, and perhaps its source is to blame, or a full node. */
#include "coordinator/pull_failed.h"

#include <assert.h>
#include <string.h>

#include "coordinator/checkpoint.h"
#include "coordinator/copy.h"
#include "coordinator/drain.h"
#include "coordinator/find.h"
#include "coordinator/fit.h"
#include "coordinator/place.h"
#include "coordinator/queue.h"
#include "coordinator/restore.h"
#include "coordinator/room.h"
#include "coordinator/trouble.h"

void coordinator_on_pull_failed(struct coordinator *c, uint32_t member,
                                const struct message_pull_failed *f)
{
    assert(member < c->member_count);
    const struct found found = coordinator_find(c, &f->shard, member);
    struct run *run = found.run;
    struct checkpoint *k = found.checkpoint;
    struct shard *s = found.shard;
    struct copy *copy = found.copy;
    if (copy == NULL || copy->order_kind != ORDER_PULL || copy->order != f->order) {
        return;
    }
    /* A failure that is none is one all the same: the copy was not made. */
    enum ckpt_status status = f->status != CKPT_OK ? f->status : CKPT_ERR_PROTOCOL;
    struct trouble what = {
        .kind = TROUBLE_PULL, .status = status, .has_rank = true, .shard = f->shard};
    strcpy(what.node, c->members[member].node);
    (void)coordinator_trouble_happens(c, EVENT_pull_failed, &what, "%s", f->reason);

    struct copy *source = coordinator_source_copy(s, &copy->source);
    if (source != NULL && status != CKPT_ERR_FULL && source->source_failures < UINT8_MAX) {
        source->source_failures++;
    }
    if (status == CKPT_ERR_FULL) {
        c->places[member].segments_free = 0; /* until its next heartbeat says more */
        c->places[member].part_bytes_free = 0;
    }
    coordinator_copy_set_order(c, copy, ORDER_NONE);
    copy->bad = f->status != CKPT_ERR_FULL;
    coordinator_restore_copy_gone(c, s, member);
    /* For a reader nothing is given up; its copy is cached and makes no checkpoint safer. */
    bool room_comes =
        f->status == CKPT_ERR_FULL && copy->purpose != PULL_FETCH &&
        (!checkpoint_is_committed(k) || copy->purpose == PULL_RESTORE || k->step == run->latest) &&
        coordinator_make_room(c, member, run, coordinator_shard_room(c, s, member));
    if (room_comes) {
        coordinator_queue_park(c, s);
        return;
    }
    if (checkpoint_is_open(k) && ++s->failures >= c->config.pull_attempts_max &&
        !coordinator_drain_makes_do(c, k)) {
        coordinator_checkpoint_abort(c, k, status,
                                     "rank %u: %u pulls failed, the last on node %s: %.160s",
                                     s->rank, s->failures, c->members[member].node, f->reason);
        return;
    }
    coordinator_queue_park(c, s); /* at once would be a hot loop */
}
