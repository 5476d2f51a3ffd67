/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/turn.h"

#include <assert.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptctld/act.h"
#include "ckptctld/commit.h"
#include "ckptctld/machine.h"
#include "session/session.h"

/* Turns of the machine in a row when it has more to say, before sockets get their turn again. */
#define TURNS_IN_A_ROW 16

/* Less than this is no stall but the way of a busy machine. */
#define LATE_SLACK_MS 50

static void go_on(struct daemon *daemon);

static void arm(struct daemon *daemon, uint64_t deadline_ms, bool again, uint64_t now_ms)
{
    if (again) {
        deadline_ms = now_ms;
    }
    if (deadline_ms == daemon->armed_ms) {
        return;
    }
    daemon->armed_ms = deadline_ms;
    uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
                           .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
    event_add(daemon->deadline_event, &wait);
}

/* One turn; false when it is not over: the process is to end, or records are on their way. */
static bool turn(struct daemon *daemon, struct coordinator_event *event)
{
    struct coordinator_update *update = &daemon->update;
    event->now_ms = clock_now_ms();
    event->wall_ms = clock_wall_ms();
    event->late_ms = lateness_take(&daemon->lateness, event->now_ms, LATE_SLACK_MS);
    event->secret = &daemon->secret;
    enum ckpt_status status = coordinator_advance(daemon->machine, event, update);
    if (status != CKPT_OK) {
        log_event(EVENT_event_refused, "type=%d status=%s", (int)event->type,
                  ckpt_status_name(status));
        daemon_leave(daemon, EXIT_START);
        return false;
    }
    if (update->secret_used && !machine_draw_secret(daemon)) {
        log_event(EVENT_start_failed, "text=\"no random numbers\"");
        daemon_leave(daemon, EXIT_START);
        return false;
    }
    daemon->read_first = daemon->read_first || update->read_first;
    if (update->record_count > 0) {
        commit_begin(daemon, go_on);
        return false;
    }
    act_on_update(daemon);
    return !daemon->ending;
}

/* The update is out: whoever waits for it hears, and the machine says what more it has. */
static void finish(struct daemon *daemon)
{
    void (*after_turn)(struct daemon *) = daemon->after_turn;
    daemon->after_turn = NULL;
    if (after_turn) {
        after_turn(daemon);
    }
    for (int i = 0; i < TURNS_IN_A_ROW && daemon->update.again; i++) {
        struct coordinator_event tick = {.type = COORDINATOR_TICK, .unread = true};
        if (!turn(daemon, &tick)) {
            return;
        }
    }
    lateness_due(&daemon->lateness, daemon->update.deadline_ms);
    arm(daemon, daemon->update.deadline_ms, daemon->update.again || daemon->read_first,
        clock_now_ms());
}

/* The update's records are durable: does the rest. */
static void go_on(struct daemon *daemon)
{
    act_on_update(daemon);
    if (!daemon->ending) {
        finish(daemon);
    }
}

void turn_event(struct daemon *daemon, struct coordinator_event *event,
                void (*after_turn)(struct daemon *daemon))
{
    assert(!daemon->commit.is_under_way);
    if (daemon->ending) {
        return;
    }
    daemon->after_turn = after_turn;
    if (turn(daemon, event)) {
        finish(daemon);
    }
}

static bool may_advance(const struct daemon *daemon)
{
    return !daemon->ending && !daemon->commit.is_under_way;
}

/* Who is lost is judged when all that had arrived was heard. */
static void judge(struct daemon *daemon)
{
    struct coordinator_event event = {.type = COORDINATOR_TICK};
    if (daemon->agents) {
        session_hub_read(daemon->agents);
    }
    if (may_advance(daemon)) {
        daemon->read_first = false;
        turn_event(daemon, &event, NULL);
    }
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *daemon = context;
    struct coordinator_event event = {.type = COORDINATOR_TICK, .unread = true};
    daemon->armed_ms = UINT64_MAX;
    if (!may_advance(daemon)) {
        return; /* armed anew when the commit is done */
    }
    commit_look(daemon);
    if (!daemon->read_first) {
        turn_event(daemon, &event, NULL);
    }
    if (daemon->read_first && may_advance(daemon)) {
        judge(daemon);
    }
}

static enum ckpt_status start(void *context, char *reason)
{
    struct daemon *daemon = context;
    daemon->armed_ms = UINT64_MAX;
    daemon->base = event_base_new();
    if (daemon->base) {
        daemon->deadline_event = evtimer_new(daemon->base, on_deadline, daemon);
    }
    return daemon->deadline_event ? CKPT_OK : reason_refuse(reason, CKPT_ERR_MEMORY, "no memory");
}

static void stop(void *context)
{
    struct daemon *daemon = context;
    if (daemon->deadline_event) {
        event_free(daemon->deadline_event);
    }
    if (daemon->base) {
        event_base_free(daemon->base);
    }
}

struct part part_turn = {.start = start, .stop = stop};
