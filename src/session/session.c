/* SPDX-License-Identifier: Apache-2.0 */
/* One session: its life, and bytes in and out. */
#include "session/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/reason.h"
#include "session/hub.h"

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

bool session_take_socket(struct session *session, int fd)
{
    struct event_base *base = session->hub->base;
    session->read_event = event_new(base, fd, EV_READ | EV_PERSIST, session_on_read, session);
    session->write_event = event_new(base, fd, EV_WRITE, session_on_write, session);
    if (!session->read_event || !session->write_event) {
        free_event(&session->read_event);
        free_event(&session->write_event);
        return false;
    }
    session->fd = fd;
    return true;
}

enum ckpt_status session_make(struct session_hub *hub, int fd, const struct session_events *events,
                              void *context, struct session **session_out)
{
    if (hub->counters.sessions >= hub->config.sessions_max) {
        return CKPT_ERR_FULL;
    }
    struct session *session = calloc(1, sizeof(*session) + hub->config.receive_bytes_max);
    if (!session) {
        return CKPT_ERR_MEMORY;
    }
    session->fd = -1;
    session->process = -1;
    session->arrived = -1;
    session->hub = hub;
    session->events = events;
    session->context = context;
    session->uid = UINT32_MAX;
    session->output = evbuffer_new();
    if (!session->output || (fd >= 0 && !session_take_socket(session, fd))) {
        session_free(session);
        return CKPT_ERR_MEMORY;
    }
    wire_stream_init(&session->stream, session->buffer, hub->config.receive_bytes_max);
    session->link = ++hub->last_link;
    session->next = hub->sessions;
    if (session->next) {
        session->next->previous = session;
    }
    hub->sessions = session;
    struct session **bucket = &hub->links[session->link & (hub->buckets - 1)];
    session->bucket_next = *bucket;
    *bucket = session;
    hub->counters.sessions++;
    *session_out = session;
    return CKPT_OK;
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

void session_hold(struct session *session)
{
    struct session_hub *hub = session->hub;
    if (session->read_event) {
        event_del(session->read_event);
    }
    if (!session->is_held) {
        session->is_held = true;
        session->held_next = NULL;
        *hub->last_held = session;
        hub->last_held = &session->held_next;
    }
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
    if (session->fd >= 0) {
        close(session->fd);
        session->fd = -1;
    }
    session_descriptors_close(session);
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

static void begin_close(struct session *session, enum ckpt_status status, const char *reason)
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
        begin_close(session, CKPT_OK, "closed");
    }
}

/* Whether a frame of this sender is to be taken: false when it is old. */
static bool is_new(struct session *session, const struct message *message)
{
    if (message->sequence <= session->sequence ||
        !session_filter_take(session->hub->filter, &message->incarnation, message->sequence)) {
        session->hub->counters.frames_old++;
        return false;
    }
    session->sequence = message->sequence;
    return true;
}

static void refuse_bytes(struct session *session, enum ckpt_status status, const char *reason)
{
    char kept[CKPT_REASON_MAX + 1];
    snprintf(kept, sizeof(kept), "%s", reason);
    session->hub->counters.broken++;
    if (session->events->broken) {
        session->events->broken(session, status, kept, session->context);
    }
    if (session->state == SESSION_OPEN) {
        begin_close(session, status, kept);
    }
}

static void take_frame(struct session *session, const uint8_t *frame, size_t bytes)
{
    struct session_hub *hub = session->hub;
    struct message *message = &hub->message;
    enum ckpt_status status = message_decode(frame, bytes, &hub->scratch, message);
    if (status != CKPT_OK) {
        refuse_bytes(session, status, hub->scratch.reason);
        return;
    }
    if (incarnation_is_zero(&session->incarnation)) {
        session->incarnation = message->incarnation;
    }
    if (incarnation_is_zero(&message->incarnation) ||
        !incarnation_equal(&session->incarnation, &message->incarnation)) {
        refuse_bytes(session, CKPT_ERR_PROTOCOL,
                     "frames of no or of two incarnations on one connection");
        return;
    }
    hub->counters.frames_received++;
    if (is_new(session, message)) {
        session->events->message(session, message, session->context);
    }
}

static void take_frames(struct session *session)
{
    while (session->state == SESSION_OPEN) {
        if (session->hub->is_paused) {
            session_hold(session);
            return;
        }
        const uint8_t *frame;
        size_t bytes;
        enum ckpt_status status = wire_stream_next(&session->stream, &frame, &bytes);
        if (status != CKPT_OK) {
            refuse_bytes(session, status, session->stream.reason);
            return;
        }
        if (!frame) {
            return;
        }
        take_frame(session, frame, bytes);
    }
}

/* What comes after we have closed is read and thrown away: unread bytes would make the kernel reset
 * the connection and take our last message back. */
static void discard(struct session *session)
{
    uint8_t bytes[4096];
    ssize_t got = recv(session->fd, bytes, sizeof(bytes), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        session_end(session, session->end_status, session->end_reason);
    }
}

void session_on_read(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    struct session *session = context;
    if (session->state == SESSION_CLOSING || session->state == SESSION_LINGERING) {
        discard(session);
        return;
    }
    if (session->state != SESSION_OPEN) {
        return;
    }
    if (session->hub->is_paused) {
        session_hold(session);
        return;
    }
    /* A loop that did not run for long finds the time over and the words unread. */
    if (!session_read(session) && (what & EV_TIMEOUT)) {
        session_end(session, CKPT_ERR_TIMEOUT, "silent for too long");
    }
}

bool session_read(struct session *session)
{
    uint8_t *space;
    if (session->state != SESSION_OPEN || session->hub->is_paused) {
        return false;
    }
    size_t room = wire_stream_space(&session->stream, &space);
    ssize_t got = session_receive_some(session, space, room);
    if (got > 0) {
        wire_stream_filled(&session->stream, (size_t)got);
        take_frames(session);
    } else if (got == 0) {
        session_end(session, CKPT_OK, "closed by the peer");
    } else if (errno != EAGAIN && errno != EINTR) {
        session_end(session, CKPT_ERR_LINK, strerror(errno));
    } else {
        return false;
    }
    return true;
}

void session_let_go(struct session *session)
{
    if (session->state == SESSION_FAILED) {
        session_schedule(session);
        return;
    }
    session_listen_for_words(session);
    take_frames(session);
    if (session->is_orphan && session->state != SESSION_DEAD) {
        session_process_ended(session);
    }
}

/* False when the session has ended. */
static bool write_output(struct session *session)
{
    while (evbuffer_get_length(session->output) > 0) {
        ssize_t sent = session_send_some(session);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            event_add(session->write_event, NULL);
            return true;
        }
        if (sent < 0) {
            session_end(session, CKPT_ERR_LINK, strerror(errno));
            return false;
        }
        session->sent += (uint64_t)sent;
        session->hub->counters.output_bytes -= (uint64_t)sent;
        evbuffer_drain(session->output, (size_t)sent);
    }
    return true;
}

void session_flush(struct session *session)
{
    switch (session->state) {
    case SESSION_FAILED:
        session_end(session, session->end_status, session->end_reason);
        break;
    case SESSION_OPEN:
        write_output(session);
        break;
    case SESSION_CLOSING:
        if (write_output(session) && evbuffer_get_length(session->output) == 0) {
            session->state = SESSION_LINGERING;
            shutdown(session->fd, SHUT_WR);
        }
        break;
    case SESSION_CONNECTING:
    case SESSION_LINGERING:
    case SESSION_DEAD:
        break;
    }
}

static void finish_connect(struct session *session, short what)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    if (what & EV_TIMEOUT) {
        resolver_doubt(session->hub->resolver, session->peer);
        session_end(session, CKPT_ERR_TIMEOUT, "no answer to the connect");
    } else if (getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0 || error != 0) {
        resolver_doubt(session->hub->resolver, session->peer);
        session_end(session, CKPT_ERR_LINK, strerror(error ? error : errno));
    } else {
        session_start(session);
        session->events->opened(session, session->context);
        session_schedule(session);
    }
}

void session_on_write(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    struct session *session = context;
    if (session->state == SESSION_CONNECTING) {
        finish_connect(session, what);
    } else if (session->state != SESSION_DEAD) {
        session_flush(session);
    }
}

bool session_is_looked_up(const struct session *session)
{
    return session->wait.name != NULL;
}

uint32_t session_link(const struct session *session)
{
    return session->link;
}

bool session_is_local(const struct session *session)
{
    return session->is_local;
}

uint32_t session_uid(const struct session *session)
{
    return session->uid;
}

bool session_local_host(const struct session *session, char host_out[CKPT_ADDRESS_MAX + 1])
{
    struct address address = {.bytes = sizeof(address.socket)};
    if (session->is_local || session->fd < 0 ||
        getsockname(session->fd, (struct sockaddr *)&address.socket, &address.bytes) != 0) {
        return false;
    }
    address_text(&address, host_out);
    char *port = strrchr(host_out, ':');
    if (!port) {
        return false;
    }
    *port = '\0';
    return true;
}

const char *session_peer(const struct session *session)
{
    return session->peer;
}

void session_set_group(struct session *session, uint32_t group)
{
    session->group = group;
}

uint32_t session_group(const struct session *session)
{
    return session->group;
}

void session_set_data(struct session *session, void *data)
{
    session->data = data;
}

void *session_data(const struct session *session)
{
    return session->data;
}
