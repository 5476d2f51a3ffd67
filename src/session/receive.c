/* SPDX-License-Identifier: Apache-2.0 */
#include "session/receive.h"

#include <errno.h>
#include <string.h>

#include "base/reason.h"
#include "session/channel.h"
#include "session/life.h"
#include "session/schedule.h"

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
        session_begin_close(session, status, kept);
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
    ssize_t got = session->channel->read(session, bytes, sizeof(bytes));
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
    ssize_t got = session->channel->read(session, space, room);
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

bool session_let_go(struct session *session)
{
    if (session->state == SESSION_FAILED) {
        session_schedule(session);
        return false;
    }
    session_listen_for_words(session);
    take_frames(session);
    return session->state != SESSION_DEAD;
}
