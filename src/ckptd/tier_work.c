/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/tier_work.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/reason.h"
#include "ckptd/tier_queue.h"

static bool map_slot(struct daemon *d, const struct agent_work *work, struct tier_job *job)
{
    struct agent_slot_view slot;
    bool found = agent_slot_view(d->machine, work->slot, &slot);
    assert(found);
    if (!found || arena_slot_map(d->arena, slot.segments, slot.segment_count, work->bytes, false,
                                 &job->view) != CKPT_OK) {
        return false;
    }
    job->arena = d->arena;
    return true;
}

static void fill_manifest(const struct daemon *d, const struct message_manifest_order *order,
                          struct tier_manifest *manifest)
{
    *manifest = (struct tier_manifest){
        .key = {.run = order->run, .attempt = order->attempt, .step = order->step},
        .world = order->world,
        .copies = order->copies,
        .mark = order->mark,
        .cluster = agent_cluster(d->machine),
        .root = order->root};
    snprintf(manifest->made_by, sizeof(manifest->made_by), "ckptd %s", CKPT_VERSION);
}

void tier_begin(struct daemon *d, const struct agent_work *work)
{
    struct tier_job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        log_event(EVENT_out_of_memory, "where=tier");
        d->is_broken = true;
        return;
    }
    job->work = work->work;
    job->is_manifest = work->type == AGENT_WORK_MANIFEST;
    if (job->is_manifest) {
        fill_manifest(d, work->manifest, &job->manifest);
    } else {
        job->shard = *work->persist;
    }
    if (!job->is_manifest && !map_slot(d, work, job)) {
        job->has_failed = true;
        job->status = CKPT_ERR_MEMORY;
        reason_set(job->reason, "the slot can't be mapped for the tier: too many mappings");
    }
    tier_queue_add(d->tier, job);
}
