/* SPDX-License-Identifier: Apache-2.0 */
/* The order of acting on an update is the contract with the machine: persist, send, log, arm. While
 * records are on their way the loop runs, and the machine does not. */
#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "ckptctld/daemon.h"
#include "wire/message_codec.h"

/* Turns of the machine in a row when it has more to say, before sockets get their turn again. */
#define TURNS_IN_A_ROW 16

static void complain_unsent(const struct message *message, enum ckpt_status status)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    /* A session that has ended is no news: the machine repeats from its state. */
    if (status == CKPT_ERR_INVALID || status == CKPT_ERR_TOO_LARGE) {
        message_check(message, reason);
        log_event(EVENT_message_unsent, "type=%s status=%s text=%s",
                  message_type_name(message->type), ckpt_status_name(status), LOG_QUOTED(reason));
    }
}

static void send_one(struct daemon *daemon, const struct coordinator_outgoing *outgoing)
{
    const struct message *message = &outgoing->message;
    if (outgoing->link == COORDINATOR_LINK_ALL) {
        complain_unsent(message, session_send_group(daemon->agents, GROUP_JOINED, message));
        return;
    }
    struct session *session = session_find(daemon->agents, outgoing->link);
    if (!session) {
        return;
    }
    if (message->type != MESSAGE_NONE) {
        if (message->type == MESSAGE_WELCOME && message->welcome.status == CKPT_OK) {
            session_set_group(session, GROUP_JOINED);
            session_vouch(session);
        }
        complain_unsent(message, session_send(session, message, NULL, 0));
    }
    if (outgoing->close) {
        session_set_group(session, 0);
        session_close(session);
    }
}

static void send_all(struct daemon *daemon)
{
    const struct coordinator_update *update = &daemon->update;
    /* At the end of the replay nobody can have connected yet. */
    for (uint32_t i = 0; daemon->agents && i < update->message_count; i++) {
        send_one(daemon, &update->messages[i]);
#if CKPT_FAULT_POINTS
        /* Between messages means that the first has left. */
        if (atomic_load_explicit(&fault_points_are_armed, memory_order_relaxed)) {
            session_hub_flush(daemon->agents);
            FAULT_POINT(coordinator_between_messages);
        }
#endif
    }
}

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

/* What an update says beyond its records. */
static void deliver(struct daemon *daemon)
{
    const struct coordinator_update *update = &daemon->update;
    if (update->step_down) {
        notes_log(daemon, update);
        daemon_end(daemon, EXIT_STALE);
        return;
    }
    send_all(daemon);
    notes_log(daemon, update);
}

/* One turn; false when it is not over: the process is to end, or records are on their way. */
static bool turn(struct daemon *daemon, struct coordinator_event *event)
{
    struct coordinator_update *update = &daemon->update;
    event->now_ms = daemon_now_ms();
    event->wall_ms = daemon_wall_ms();
    event->late_ms = lateness_take(&daemon->lateness, event->now_ms, LATE_SLACK_MS);
    enum ckpt_status status = coordinator_advance(daemon->machine, event, update);
    if (status != CKPT_OK) {
        log_event(EVENT_event_refused, "type=%d status=%s", (int)event->type,
                  ckpt_status_name(status));
        daemon_end(daemon, EXIT_START);
        return false;
    }
    daemon->read_first = daemon->read_first || update->read_first;
    if (update->record_count > 0) {
        commit_begin(daemon);
        return false;
    }
    deliver(daemon);
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
        daemon_now_ms());
}

void loop_go_on(struct daemon *daemon)
{
    deliver(daemon);
    if (!daemon->ending) {
        finish(daemon);
    }
}

void loop_advance(struct daemon *daemon, struct coordinator_event *event,
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
        loop_advance(daemon, &event, NULL);
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
        loop_advance(daemon, &event, NULL);
    }
    if (daemon->read_first && may_advance(daemon)) {
        judge(daemon);
    }
}

enum ckpt_status loop_open(struct daemon *daemon)
{
    daemon->armed_ms = UINT64_MAX;
    daemon->deadline_event = evtimer_new(daemon->base, on_deadline, daemon);
    return daemon->deadline_event ? commit_open(daemon) : CKPT_ERR_MEMORY;
}

void loop_close(struct daemon *daemon)
{
    commit_close(daemon);
    if (daemon->deadline_event) {
        event_free(daemon->deadline_event);
        daemon->deadline_event = NULL;
    }
}
