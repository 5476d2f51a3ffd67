/* SPDX-License-Identifier: Apache-2.0 */
#include "session/flush.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "session/channel.h"
#include "session/life.h"
#include "session/schedule.h"

/* False when the session has ended. */
static bool write_output(struct session *session)
{
    while (evbuffer_get_length(session->output) > 0) {
        ssize_t sent = session->channel->write(session);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            if (session->channel->want(session) & EV_WRITE) {
                event_add(session->write_event, NULL);
            }
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
