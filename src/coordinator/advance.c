/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatch of events. */
#include <assert.h>

#include "base/planted_bug.h"
#include "coordinator/admin.h"
#include "coordinator/attend.h"
#include "coordinator/commit.h"
#include "coordinator/door.h"
#include "coordinator/drain.h"
#include "coordinator/expire.h"
#include "coordinator/fetch_table.h"
#include "coordinator/invariant.h"
#include "coordinator/job.h"
#include "coordinator/member.h"
#include "coordinator/naming.h"
#include "coordinator/note.h"
#include "coordinator/persist.h"
#include "coordinator/queue.h"
#include "coordinator/replay.h"
#include "coordinator/restore.h"
#include "coordinator/start.h"
#include "coordinator/state.h"
#include "coordinator/update.h"

static void tick(struct coordinator *c, bool unread)
{
    assert(c->started);
    c->tick_ms = c->now_ms + c->config.heartbeat_ms / 2;
    coordinator_members_tick(c, unread);
    coordinator_drains_tick(c);
    coordinator_checkpoints_tick(c);
    coordinator_starts_tick(c);
    coordinator_jobs_tick(
        c); /* before verdicts are told: what they name is not given up in that turn */
    coordinator_expire_tick(c);
    coordinator_restores_tick(c);
    coordinator_fetches_tick(c);
    coordinator_persist_tick(c);
    if (c->now_ms >= c->parked_ms + c->config.resend_ms) {
        c->parked_ms = c->now_ms;
        coordinator_queue_unpark_all(c);
    }
}

/* The machine's clock stands still while its process did not run: what anybody should have said in
 * that time could not be heard. */
static void take_time(struct coordinator *c, const struct coordinator_event *event)
{
    if (c->started && !PLANTED_BUG(LEASE_BY_WALL)) {
        c->stalled_ms += event->late_ms;
    }
    c->now_ms = event->now_ms - c->stalled_ms;
    c->wall_ms = event->wall_ms;
    if (event->late_ms > c->config.heartbeat_ms / 2) {
        c->stall_over_ms = c->now_ms;
    }
    if (c->started && event->late_ms > c->config.lease_ms / 2) {
        coordinator_note(
            c, EVENT_stalled, (struct about){0},
            "this coordinator did not run for %llu ms: every lease and time-out is put off by as "
            "much",
            (unsigned long long)event->late_ms);
    }
    if (!c->started) {
        c->started = true;
        c->started_ms = c->now_ms;
        c->tick_ms = c->now_ms + c->config.heartbeat_ms / 2;
    }
}

enum ckpt_status coordinator_advance(struct coordinator *c, const struct coordinator_event *event,
                                     struct coordinator_update *update_out)
{
    uint64_t last_ms = c->now_ms + c->stalled_ms;
    if (event->now_ms < last_ms || event->late_ms > event->now_ms - last_ms ||
        event->type < COORDINATOR_TICK || event->type > COORDINATOR_ADMIN) {
        return CKPT_ERR_INVALID;
    }
    if (event->type == COORDINATOR_REPLAY && !c->replaying) {
        return CKPT_ERR_INVALID;
    }
    if (event->type == COORDINATOR_MESSAGE && event->secret == NULL &&
        c->config.digest == DIGEST_KIND_FINGERPRINT) {
        return CKPT_ERR_INVALID;
    }
    enum ckpt_status status = CKPT_OK;
    coordinator_update_begin(c, update_out);
    c->touched_count = 0;
    c->secret = event->secret;
    take_time(c, event);

    switch (event->type) {
    case COORDINATOR_TICK:
        tick(c, event->unread);
        break;
    case COORDINATOR_CONNECTED:
        break;
    case COORDINATOR_MESSAGE:
        coordinator_member_message(c, event->link, event->message);
        break;
    case COORDINATOR_DISCONNECTED:
        coordinator_member_disconnected(c, event->link);
        break;
    case COORDINATOR_REPLAY:
        status = coordinator_on_replay(c, event->record);
        break;
    case COORDINATOR_REPLAY_END:
        c->replaying = false;
        break;
    case COORDINATOR_ADMIN:
        coordinator_on_admin(c, event->admin);
        break;
    }
    coordinator_drains_refresh(c);
    coordinator_attend(c);
    coordinator_drains_refresh(c); /* where there was no room */
    coordinator_naming_pump(c);
    c->update->again = c->update->again || c->queue_head != NONE;
    c->update->deadline_ms = c->tick_ms + c->stalled_ms;
    coordinator_invariant_check(c);
    c->secret = NULL;
    c->update = NULL;
    return status;
}
