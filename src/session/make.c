/* SPDX-License-Identifier: Apache-2.0 */
#include "session/make.h"

#include <stdlib.h>

#include "session/channel.h"
#include "session/flush.h"
#include "session/life.h"
#include "session/receive.h"

bool session_take_socket(struct session *session, int fd)
{
    struct event_base *base = session->hub->base;
    session->read_event = event_new(base, fd, EV_READ | EV_PERSIST, session_on_read, session);
    session->write_event = event_new(base, fd, EV_WRITE, session_on_write, session);
    if (!session->read_event || !session->write_event) {
        return false; /* the session's end frees the one that there is */
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
    session->channel = &session_channel_plain;
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
