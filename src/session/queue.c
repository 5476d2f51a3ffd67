/* SPDX-License-Identifier: Apache-2.0 */
/* Messages become frames in the output of sessions, for which there is only so much room. */
#include "session/descriptors.h"
#include "session/life.h"
#include "session/schedule.h"

static bool takes_output(const struct session *session)
{
    return session->state == SESSION_OPEN || session->state == SESSION_CONNECTING;
}

/* What waits for all sessions of a local session's user; for a TCP session itself. */
static uint64_t waiting_for(const struct session *session)
{
    uint64_t waiting = 0;
    if (!session->is_local) {
        return evbuffer_get_length(session->output);
    }
    for (const struct session *s = session->hub->sessions; s; s = s->next) {
        bool is_his = s->is_local && s->uid == session->uid;
        waiting += is_his ? evbuffer_get_length(s->output) : 0;
    }
    return waiting;
}

/* Of the one for whom most waits, the session for which most does. */
static struct session *find_greediest(const struct session_hub *hub)
{
    struct session *greediest = NULL;
    uint64_t most = 0;
    for (struct session *s = hub->sessions; s; s = s->next) {
        size_t own = evbuffer_get_length(s->output);
        uint64_t waiting = own > 0 ? waiting_for(s) : 0;
        if (waiting > most ||
            (waiting > 0 && waiting == most && own > evbuffer_get_length(greediest->output))) {
            most = waiting;
            greediest = s;
        }
    }
    return greediest;
}

/* It will not be written any more, so that others have the room at once. */
static void cut(struct session *session)
{
    struct session_hub *hub = session->hub;
    hub->counters.unread++;
    hub->counters.output_bytes -= evbuffer_get_length(session->output);
    evbuffer_drain(session->output, evbuffer_get_length(session->output));
    session_fail(session, CKPT_ERR_LINK, "the peer does not read");
}

/* Room for so many bytes to the session; who has most waiting pays for it. */
static void make_room(struct session *session, size_t bytes)
{
    struct session_hub *hub = session->hub;
    while (takes_output(session) &&
           hub->counters.output_bytes + bytes > hub->config.output_total_max) {
        struct session *greediest = find_greediest(hub);
        cut(greediest ? greediest : session);
    }
}

static void enqueue(struct session *session, const uint8_t *frame, size_t bytes)
{
    struct session_hub *hub = session->hub;
    if (evbuffer_get_length(session->output) + bytes > hub->config.output_bytes_max) {
        cut(session);
        return;
    }
    make_room(session, bytes);
    if (!takes_output(session)) {
        return;
    }
    if (evbuffer_add(session->output, frame, bytes) != 0) {
        session_fail(session, CKPT_ERR_MEMORY, "no memory for a message");
    } else {
        session->queued += bytes;
        hub->counters.output_bytes += bytes;
        hub->counters.frames_sent++;
        session_schedule(session);
    }
}

static enum ckpt_status encode(struct session_hub *hub, const struct message *message,
                               size_t *bytes_out)
{
    struct message numbered = *message;
    numbered.incarnation = hub->config.incarnation;
    numbered.sequence = hub->sequence + 1;
    enum ckpt_status status = message_encode(&numbered, hub->frame, FRAME_BYTES_MAX, bytes_out);
    if (status == CKPT_OK) {
        hub->sequence++;
    }
    return status;
}

static void close_all(const int *descriptors, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        evutil_closesocket(descriptors[i]);
    }
}

enum ckpt_status session_send(struct session *session, const struct message *message,
                              const int *descriptors, uint32_t count)
{
    size_t bytes;
    enum ckpt_status status = CKPT_ERR_LINK;
    if (!takes_output(session)) {
        goto close_descriptors;
    }
    status = CKPT_ERR_INVALID;
    if (count > 0 && !session->is_local) {
        goto close_descriptors;
    }
    status = encode(session->hub, message, &bytes);
    if (status != CKPT_OK) {
        goto close_descriptors;
    }
    if (!session_riders_add(session, descriptors, count)) {
        session_fail(session, CKPT_ERR_MEMORY, "no memory for a message's descriptors");
        return CKPT_ERR_MEMORY;
    }
    enqueue(session, session->hub->frame, bytes);
    return takes_output(session) ? CKPT_OK : session->end_status;

close_descriptors:
    close_all(descriptors, count);
    return status;
}

enum ckpt_status session_send_group(struct session_hub *hub, uint32_t group,
                                    const struct message *message)
{
    size_t bytes;
    enum ckpt_status status = encode(hub, message, &bytes);
    if (status != CKPT_OK) {
        return status;
    }
    for (struct session *session = hub->sessions; session; session = session->next) {
        if (session->group == group && takes_output(session)) {
            enqueue(session, hub->frame, bytes);
            if (!takes_output(session) && status == CKPT_OK) {
                status = session->end_status;
            }
        }
    }
    return status;
}
