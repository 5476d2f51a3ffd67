/* SPDX-License-Identifier: Apache-2.0 */
/* Where sessions come from: accepting and connecting. */
#include "session/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/reason.h"
#include "session/address.h"
#include "session/admit.h"
#include "session/door.h"
#include "session/life.h"
#include "session/make.h"
#include "session/process.h"

#define ACCEPTS_A_TURN 64   /* so that a flood of connects leaves time for messages */
#define TCP_DEAD_MS 10000   /* unacknowledged bytes for so long: the peer's machine is gone */
#define ACCEPT_RETRY_MS 200 /* after running out of descriptors */

static void set_tcp_options(int fd)
{
    int on = 1;
    unsigned int dead_ms = TCP_DEAD_MS;
    /* Best effort: a session works without. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
}

/* Notes who is at the other end. */
static void name_peer(struct session *session, const struct address *address,
                      const struct ucred *credentials)
{
    session->is_local = address->socket.ss_family == AF_UNIX;
    if (!session->is_local) {
        set_tcp_options(session->fd);
        address_text(address, session->peer);
    } else if (credentials->uid != UINT32_MAX) {
        session->uid = credentials->uid;
        snprintf(session->peer, sizeof(session->peer), "uid=%u,pid=%d", credentials->uid,
                 credentials->pid);
        session_watch_process(session, credentials->pid);
    }
}

static void accept_one(struct listener *listener, int fd, const struct address *address)
{
    struct session_hub *hub = listener->hub;
    struct session *session;
    struct ucred credentials = {.uid = UINT32_MAX};
    socklen_t bytes = sizeof(credentials);
    bool is_local = address->socket.ss_family == AF_UNIX;
    if (is_local && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) {
        credentials.uid = UINT32_MAX;
    }
    if (!door_admits(listener, is_local, credentials.uid) ||
        session_make(hub, fd, listener->events, listener->context, &session) != CKPT_OK) {
        hub->counters.refused++;
        close(fd);
        return;
    }
    hub->counters.accepted++;
    door_enter(listener, session);
    name_peer(session, address, &credentials);
    session_start(session);
    session->events->opened(session, session->context);
}

bool listener_accept(struct listener *listener)
{
    for (int i = 0; i < ACCEPTS_A_TURN && !listener->hub->is_paused; i++) {
        struct address address = {.bytes = sizeof(address.socket)};
        int peer = accept4(listener->fd, (struct sockaddr *)&address.socket, &address.bytes,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer >= 0) {
            /* A UNIX peer without a name has no family in its address. */
            if (listener->path[0]) {
                address.socket.ss_family = AF_UNIX;
            }
            accept_one(listener, peer, &address);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The connection stays in the backlog and would wake us at once for ever. */
            struct timeval later = {.tv_usec = ACCEPT_RETRY_MS * 1000};
            event_del(listener->accept_event);
            evtimer_add(listener->retry_event, &later);
        }
        if (errno != ECONNABORTED && errno != EINTR) {
            return true;
        }
    }
    return listener->hub->is_paused;
}

static void on_accept(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct listener *listener = context;
    if (listener->hub->is_paused) {
        listener->is_held = true;
        event_del(listener->accept_event);
        return;
    }
    (void)listener_accept(listener);
}

static void on_retry(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct listener *listener = context;
    event_add(listener->accept_event, NULL);
}

bool listener_serve(struct listener *listener)
{
    struct event_base *base = listener->hub->base;
    listener->retry_event = evtimer_new(base, on_retry, listener);
    listener->accept_event =
        event_new(base, listener->fd, EV_READ | EV_PERSIST, on_accept, listener);
    return listener->retry_event && listener->accept_event &&
           event_add(listener->accept_event, NULL) == 0;
}

/* The address is known: a socket, and a connect. */
static enum ckpt_status connect_now(struct session *session, const struct address *resolved,
                                    char *reason_out)
{
    struct timeval limit = {.tv_sec = session->connect_ms / 1000,
                            .tv_usec = (suseconds_t)(session->connect_ms % 1000) * 1000};
    int fd = socket(resolved->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return reason_refuse(reason_out, CKPT_ERR_SYSTEM, "cannot connect to %s: %s", session->peer,
                             strerror(errno));
    }
    if (!session_take_socket(session, fd)) {
        close(fd);
        return reason_refuse(reason_out, CKPT_ERR_MEMORY, "no memory to connect to %s",
                             session->peer);
    }
    session->is_local = resolved->socket.ss_family == AF_UNIX;
    if (!session->is_local) {
        set_tcp_options(fd);
    }
    if (connect(fd, (const struct sockaddr *)&resolved->socket, resolved->bytes) != 0 &&
        errno != EINPROGRESS) {
        int error = errno;
        resolver_doubt(session->hub->resolver, session->peer);
        session_fail(session, CKPT_ERR_LINK, strerror(error));
    } else if (event_add(session->write_event, &limit) != 0) {
        session_fail(session, CKPT_ERR_MEMORY, "no memory to connect");
    }
    return CKPT_OK;
}

static void on_known(struct resolver_wait *wait, enum ckpt_status status,
                     const struct address *address, const char *reason)
{
    struct session *session = (struct session *)((char *)wait - offsetof(struct session, wait));
    char kept[CKPT_REASON_MAX + 1];
    if (session->state != SESSION_CONNECTING) {
        return;
    }
    snprintf(kept, sizeof(kept), "%s", reason);
    if (status == CKPT_OK) {
        status = connect_now(session, address, kept);
    }
    if (status != CKPT_OK) {
        session_fail(session, status, kept);
    }
}

enum ckpt_status session_connect(struct session_hub *hub, const char *address, uint32_t timeout_ms,
                                 const struct session_events *events, void *context,
                                 struct session **session_out, char *reason_out)
{
    struct address resolved;
    struct session *session;
    enum ckpt_status status = address_check(address, ADDRESS_CONNECT, reason_out);
    if (status != CKPT_OK) {
        return status;
    }
    if (!hub->resolver) {
        status = resolver_make(hub->base, &hub->resolver);
    }
    if (status == CKPT_OK) {
        status = session_make(hub, -1, events, context, &session);
    }
    if (status != CKPT_OK) {
        return reason_refuse(reason_out, status, "cannot connect to %s: %s", address,
                             ckpt_status_text(status));
    }
    session->state = SESSION_CONNECTING;
    session->connect_ms = timeout_ms;
    session->wait.known = on_known;
    snprintf(session->peer, sizeof(session->peer), "%s", address);
    status = resolver_ask(hub->resolver, address, &session->wait, &resolved);
    if (status == CKPT_OK) {
        status = connect_now(session, &resolved, reason_out);
    } else if (status == CKPT_ERR_BUSY) {
        status = CKPT_OK;
    } else {
        reason_refuse(reason_out, status, "cannot look up %s: %s", address,
                      ckpt_status_text(status));
    }
    if (status != CKPT_OK) {
        session_drop(session);
        return status;
    }
    *session_out = session;
    return CKPT_OK;
}
