/* SPDX-License-Identifier: Apache-2.0 */
#include "session/life.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/reason.h"
#include "session/channel.h"
#include "session/door.h"
#include "session/schedule.h"

static void free_event(struct event **event)
{
    if (*event) {
        event_free(*event);
        *event = NULL;
    }
}

static struct timeval interval(uint32_t ms)
{
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    return time;
}

void session_listen_for_words(struct session *session)
{
    uint32_t idle_ms = door_idle_ms(session);
    struct timeval idle = interval(idle_ms);
    /* One common time-out queue for all sessions: arming it at each frame costs nothing. */
    const struct timeval *common =
        idle_ms ? event_base_init_common_timeout(session->hub->base, &idle) : NULL;
    event_add(session->read_event, common);
}

void session_start(struct session *session)
{
    session->state = SESSION_OPEN;
    session_listen_for_words(session);
}

static void forget(struct session *session)
{
    struct session_hub *hub = session->hub;
    struct session **at = &hub->links[session->link & (hub->buckets - 1)];
    while (*at != session) {
        at = &(*at)->bucket_next;
    }
    *at = session->bucket_next;
    if (session->previous) {
        session->previous->next = session->next;
    } else {
        hub->sessions = session->next;
    }
    if (session->next) {
        session->next->previous = session->previous;
    }
    if (session->is_flushing) {
        struct session **flushing = &hub->flushing;
        while (*flushing && *flushing != session) {
            flushing = &(*flushing)->flush_next;
        }
        if (*flushing) {
            *flushing = session->flush_next;
        }
    }
    door_leave(session);
    hub->counters.sessions--;
    hub->counters.output_bytes -= evbuffer_get_length(session->output);
}

/* Events before the descriptor: libevent must not watch a number that another file may get. */
static void shut(struct session *session)
{
    resolver_forget(&session->wait);
    free_event(&session->read_event);
    free_event(&session->write_event);
    free_event(&session->linger_event);
    free_event(&session->process_event);
    if (session->process >= 0) {
        close(session->process);
        session->process = -1;
    }
    if (session->channel) {
        session->channel->close(session);
        session->channel = NULL;
    }
}

void session_free(struct session *session)
{
    shut(session);
    if (session->output) {
        evbuffer_free(session->output);
    }
    free(session);
}

void session_end(struct session *session, enum ckpt_status status, const char *reason)
{
    struct session_hub *hub = session->hub;
    assert(session->state != SESSION_DEAD);
    if (hub->is_paused) {
        session->state = SESSION_FAILED;
        if (reason != session->end_reason) {
            session->end_status = status;
            reason_set(session->end_reason, "%s", reason);
        }
        if (session->write_event) {
            event_del(session->write_event);
        }
        session_hold(session);
        return;
    }
    session->state = SESSION_DEAD;
    forget(session);
    shut(session);
    session->events->closed(session, status, reason, session->context);
    session->flush_next = hub->dead;
    hub->dead = session;
    event_active(hub->flush_event, EV_TIMEOUT, 0);
}

void session_drop(struct session *session)
{
    forget(session);
    session_free(session);
}

void session_fail(struct session *session, enum ckpt_status status, const char *reason)
{
    session->state = SESSION_FAILED;
    session->end_status = status;
    reason_set(session->end_reason, "%s", reason);
    session_schedule(session);
}

static void on_linger(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct session *session = context;
    session_end(session, session->end_status, session->end_reason);
}

void session_begin_close(struct session *session, enum ckpt_status status, const char *reason)
{
    session->state = SESSION_CLOSING;
    session->end_status = status;
    reason_set(session->end_reason, "%s", reason);
    struct timeval linger = interval(session->hub->config.linger_ms);
    session->linger_event = evtimer_new(session->hub->base, on_linger, session);
    if (!session->linger_event || evtimer_add(session->linger_event, &linger) != 0) {
        session->state = SESSION_FAILED;
    }
    session_schedule(session);
}

void session_close(struct session *session)
{
    if (session->state == SESSION_CONNECTING) {
        session_fail(session, CKPT_OK, "closed");
    } else if (session->state == SESSION_OPEN) {
        session_begin_close(session, CKPT_OK, "closed");
    }
}
