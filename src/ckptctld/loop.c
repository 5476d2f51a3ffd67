/* SPDX-License-Identifier: Apache-2.0 */
/* The order of acting on an update is the contract with the machine: persist, send, log, arm. Where
 * persisting fails, nothing is sent and the process ends: it can promise nothing any more. */
#include <event2/event.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "daemon.h"
#include "wire/message_codec.h"

/* Turns of the machine in a row when it has more to say, before sockets get their turn again. */
#define TURNS_IN_A_ROW 16
/* How often a coordinator looks in the store whether it still rules. */
#define EPOCH_READ_MS 2000

static struct coordinator_record_shard
shard_at(const void *context, const struct coordinator_record *record, uint32_t rank)
{
    const struct daemon *daemon = context;
    return coordinator_record_shard(daemon->machine, record, rank);
}

static bool persist(struct daemon *daemon)
{
    const struct coordinator_update *update = &daemon->update;
    if (update->record_count == 0) {
        return true;
    }
    struct store_transaction transaction = {.records = update->records,
                                            .count = update->record_count,
                                            .shard_at = shard_at,
                                            .context = daemon};
    FAULT_POINT(coordinator_before_transaction);
    enum ckpt_status status = store_commit(daemon->store, &transaction);
    FAULT_POINT(coordinator_after_transaction);
    if (status == CKPT_OK) {
        return true;
    }
    log_event(LOG_LEVEL_ERROR, status == CKPT_ERR_STALE ? "stale_coordinator" : "store_failed",
              "status=%s epoch=%" PRIu64 " text=%s", ckpt_status_name(status),
              coordinator_epoch(daemon->machine), LOG_QUOTED(store_reason(daemon->store)));
    daemon_end(daemon, status == CKPT_ERR_STALE ? EXIT_STALE : EXIT_STORE);
    return false;
}

static void complain_unsent(const struct message *message, enum ckpt_status status)
{
    char reason[CKPT_REASON_MAX + 1] = "";
    /* A session that has ended is no news: the machine repeats from its state. */
    if (status == CKPT_ERR_INVALID || status == CKPT_ERR_TOO_LARGE) {
        message_check(message, reason);
        log_event(LOG_LEVEL_ERROR, "message_unsent", "type=%s status=%s text=%s",
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

/* One turn; false when the process is to end. */
static bool turn(struct daemon *daemon, struct coordinator_event *event)
{
    struct coordinator_update *update = &daemon->update;
    event->now_ms = daemon_now_ms();
    event->late_ms = lateness_take(&daemon->lateness, event->now_ms, LATE_SLACK_MS);
    enum ckpt_status status = coordinator_advance(daemon->machine, event, update);
    if (status != CKPT_OK) {
        log_event(LOG_LEVEL_ERROR, "event_refused", "type=%d status=%s", (int)event->type,
                  ckpt_status_name(status));
        daemon_end(daemon, EXIT_START);
        return false;
    }
    if (!persist(daemon)) {
        return false;
    }
    if (update->step_down) {
        notes_log(daemon, update);
        daemon_end(daemon, EXIT_STALE);
        return false;
    }
    send_all(daemon);
    notes_log(daemon, update);
    return true;
}

void loop_advance(struct daemon *daemon, struct coordinator_event *event,
                  enum ckpt_status *status_out, char *reason_out)
{
    if (daemon->ending) {
        return;
    }
    if (!turn(daemon, event)) {
        return;
    }
    if (status_out) {
        *status_out = daemon->update.admin_status;
        memcpy(reason_out, daemon->update.admin_reason, CKPT_REASON_MAX + 1);
    }
    for (int i = 0; i < TURNS_IN_A_ROW && daemon->update.again; i++) {
        struct coordinator_event tick = {.type = COORDINATOR_TICK, .unread = true};
        if (!turn(daemon, &tick)) {
            return;
        }
    }
    lateness_due(&daemon->lateness, daemon->update.deadline_ms);
    arm(daemon, daemon->update.deadline_ms, daemon->update.again, daemon_now_ms());
}

/* A coordinator that writes nothing is refused nothing: it has to look who rules. False: it
 * ends. */
static bool still_rules(struct daemon *daemon)
{
    uint64_t now_ms = daemon_now_ms();
    uint64_t epoch = 0;
    if (now_ms < daemon->epoch_read_ms + EPOCH_READ_MS) {
        return true;
    }
    daemon->epoch_read_ms = now_ms;
    enum ckpt_status status = store_epoch(daemon->store, &epoch);
    if (status == CKPT_OK && epoch <= coordinator_epoch(daemon->machine)) {
        return true;
    }
    log_event(LOG_LEVEL_ERROR, "stale_coordinator", "status=%s store_epoch=%llu own_epoch=%llu",
              ckpt_status_name(status), (unsigned long long)epoch,
              (unsigned long long)coordinator_epoch(daemon->machine));
    daemon_end(daemon, status == CKPT_OK ? EXIT_STALE : EXIT_STORE);
    return false;
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *daemon = context;
    struct coordinator_event look = {.type = COORDINATOR_TICK, .unread = true};
    struct coordinator_event judge = {.type = COORDINATOR_TICK};
    daemon->armed_ms = UINT64_MAX;
    if (daemon->ending || !still_rules(daemon)) {
        return;
    }
    loop_advance(daemon, &look, NULL, NULL);
    if (daemon->update.read_first && !daemon->ending) {
        session_hub_read(daemon->agents);
        loop_advance(daemon, &judge, NULL, NULL);
    }
}

enum ckpt_status loop_open(struct daemon *daemon)
{
    daemon->armed_ms = UINT64_MAX;
    daemon->deadline_event = evtimer_new(daemon->base, on_deadline, daemon);
    return daemon->deadline_event ? CKPT_OK : CKPT_ERR_MEMORY;
}

void loop_close(struct daemon *daemon)
{
    if (daemon->deadline_event) {
        event_free(daemon->deadline_event);
        daemon->deadline_event = NULL;
    }
}
