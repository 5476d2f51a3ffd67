/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatch of events. */
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
#include "coordinator/queue.h"
#include "coordinator/replay.h"
#include "coordinator/restore.h"
#include "coordinator/start.h"
#include "coordinator/state.h"
#include "coordinator/update.h"

static void update_begin(struct coordinator_update *u)
{
    u->record_count = 0;
    u->message_count = 0;
    u->note_count = 0;
    u->notes_lost = 0;
    u->again = false;
    u->read_first = false;
    u->step_down = false;
    u->admin_status = CKPT_OK;
    u->admin_more = false;
    u->admin_reason[0] = '\0';
}

static void tick(struct coordinator *c, struct coordinator_update *u, bool unread)
{
    c->tick_ms = c->now_ms + c->config.heartbeat_ms / 2;
    members_tick(c, u, unread);
    drains_tick(c, u);
    checkpoints_tick(c, u);
    starts_tick(c, u);
    jobs_tick(c, u); /* before verdicts are told: what they name is not given up in that turn */
    expire_tick(c, u);
    sessions_tick(c, u);
    fetches_tick(c);
    if (c->now_ms >= c->parked_ms + c->config.resend_ms) {
        c->parked_ms = c->now_ms;
        unpark_all(c);
    }
}

/* The machine's clock stands still while its process did not run: what anybody should have said in
 * that time could not be heard. */
static void take_time(struct coordinator *c, struct coordinator_update *u,
                      const struct coordinator_event *event)
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
        say(update_note(u, EVENT_stalled)->text,
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
    struct coordinator_update *u = update_out;
    enum ckpt_status status = CKPT_OK;
    update_begin(u);
    c->touched_count = 0;
    take_time(c, u, event);

    switch (event->type) {
    case COORDINATOR_TICK:
        tick(c, u, event->unread);
        break;
    case COORDINATOR_CONNECTED:
        break;
    case COORDINATOR_MESSAGE:
        member_message(c, u, event->link, event->message);
        break;
    case COORDINATOR_DISCONNECTED:
        member_disconnected(c, event->link);
        break;
    case COORDINATOR_REPLAY:
        status = on_replay(c, u, event->record);
        break;
    case COORDINATOR_REPLAY_END:
        c->replaying = false;
        break;
    case COORDINATOR_ADMIN:
        on_admin(c, u, event->admin);
        break;
    }
    drains_refresh(c);
    attend_queue(c, u);
    drains_refresh(c); /* where there was no room */
    u->again = u->again || c->queue_head != NONE;
    u->deadline_ms = c->tick_ms + c->stalled_ms;
    invariant_check(c);
    return status;
}
