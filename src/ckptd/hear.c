/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/hear.h"

#include <event2/event.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptd/connections.h"
#include "ckptd/coordinator.h"
#include "ckptd/turn.h"
#include "mover/mover.h"

static void turn(struct daemon *d, enum agent_event_type type, uint32_t link, uint32_t uid,
                 const struct message *message)
{
    struct agent_event event = {.type = type, .link = link, .uid = uid, .message = message};
    turn_event(d, &event);
}

/* ---- ranks ---- */

static void rank_opened(struct session *session, void *context)
{
    turn(context, AGENT_RANK_UP, session_link(session), session_uid(session), NULL);
}

static void rank_message(struct session *session, const struct message *message, void *context)
{
    struct daemon *d = context;
    d->event_descriptor = message->type == MESSAGE_GATHER ? session_take_descriptor(session) : -1;
    turn(d, AGENT_RANK_MESSAGE, session_link(session), session_uid(session), message);
    if (d->event_descriptor >= 0) {
        close(d->event_descriptor);
        d->event_descriptor = -1;
    }
}

static void rank_closed(struct session *session, enum ckpt_status status, const char *reason,
                        void *context)
{
    if (status != CKPT_OK) {
        log_event(EVENT_rank_disconnected, "peer=%s status=%s reason=%s",
                  LOG_QUOTED(session_peer(session)), ckpt_status_name(status), LOG_QUOTED(reason));
    }
    turn(context, AGENT_RANK_DOWN, session_link(session), session_uid(session), NULL);
}

/* A client of another version gets a refusal that it can read; other bytes get nothing. */
static void rank_broken(struct session *session, enum ckpt_status status, const char *reason,
                        void *context)
{
    if (connections_is_news(context, EVENT_rank_refused, reason)) {
        log_event(EVENT_rank_refused, "peer=%s status=%s reason=%s",
                  LOG_QUOTED(session_peer(session)), ckpt_status_name(status), LOG_QUOTED(reason));
    }
    if (status == CKPT_ERR_VERSION) {
        struct message refusal = {.type = MESSAGE_RANK_OPENED};
        refusal.rank_opened.status = CKPT_ERR_VERSION;
        reason_set(refusal.rank_opened.reason, "%s", reason);
        (void)session_send(session, &refusal, NULL, 0);
    }
}

const struct session_events hear_ranks = {
    .opened = rank_opened, .message = rank_message, .broken = rank_broken, .closed = rank_closed};

/* ---- peers ---- */

static void peer_opened(struct session *session, void *context)
{
    if (connections_was_looked_up(context, session)) {
        turn(context, AGENT_PEER_UP, connections_link(context, session), 0, NULL);
    }
}

static void peer_message(struct session *session, const struct message *message, void *context)
{
    turn(context, AGENT_PEER_MESSAGE, connections_link(context, session), 0, message);
}

static void peer_closed(struct session *session, enum ckpt_status status, const char *reason,
                        void *context)
{
    struct daemon *d = context;
    uint32_t link = connections_link(d, session);
    if (status != CKPT_OK &&
        connections_is_news(d, EVENT_peer_disconnected, session_peer(session))) {
        log_event(EVENT_peer_disconnected, "peer=%s status=%s reason=%s", session_peer(session),
                  ckpt_status_name(status), LOG_QUOTED(reason));
    }
    connections_forget(d, link);
    mover_link_down(d->mover, link);
    turn(d, AGENT_PEER_DOWN, link, 0, NULL);
}

const struct session_events hear_peers = {
    .opened = peer_opened, .message = peer_message, .closed = peer_closed};

static void on_lookup(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *d = context;
    uint32_t link;
    if (connections_take_lookup(d, &link)) {
        turn(d, AGENT_PEER_LOOKUP, link, 0, NULL);
        event_active(d->lookup_event, EV_TIMEOUT, 0); /* the list may be another now */
    }
}

/* ---- the coordinator ---- */

static void coordinator_opened(struct session *session, void *context)
{
    struct daemon *d = context;
    struct agent_event event = {.type = AGENT_COORDINATOR_UP, .address = d->address};
    coordinator_is_up(d, session);
    turn_event(d, &event);
}

static void coordinator_message(struct session *session, const struct message *message,
                                void *context)
{
    (void)session;
    if (message->type == MESSAGE_WELCOME && message->welcome.status == CKPT_OK) {
        FAULT_POINT(agent_before_inventory);
    } else if (message->type == MESSAGE_PULL_ORDER && message->pull_order.purpose == PULL_RESTORE) {
        FAULT_POINT(agent_restore_before_read);
    }
    turn(context, AGENT_COORDINATOR_MESSAGE, 0, 0, message);
    coordinator_has_spoken(context);
}

static void coordinator_closed(struct session *session, enum ckpt_status status, const char *reason,
                               void *context)
{
    (void)session;
    if (coordinator_is_down(context, status, reason)) {
        turn(context, AGENT_COORDINATOR_DOWN, 0, 0, NULL);
    }
}

static const struct session_events coordinator_events = {
    .opened = coordinator_opened, .message = coordinator_message, .closed = coordinator_closed};

/* ---- the part ---- */

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    d->peer_events = &hear_peers;
    d->coordinator_events = &coordinator_events;
    d->lookup_event = evtimer_new(d->base, on_lookup, d);
    return d->lookup_event != NULL
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_SYSTEM, "the event loop can't be made");
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    connections_free(d);
    if (d->lookup_event != NULL) {
        event_free(d->lookup_event);
    }
}

struct part part_hear = {.start = start, .stop = stop};
