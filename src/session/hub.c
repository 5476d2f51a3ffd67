/* SPDX-License-Identifier: Apache-2.0 */
#include "session/hub.h"

#include <stdlib.h>
#include <string.h>

static void bury_dead(struct session_hub *hub)
{
    while (hub->dead) {
        struct session *session = hub->dead;
        hub->dead = session->flush_next;
        session_free(session);
    }
}

/* Flushing a session may end it, and its owner may then schedule others: what is scheduled while we
 * are here is for the next turn. */
static void flush_all(struct session_hub *hub)
{
    struct session *session = hub->flushing;
    hub->flushing = NULL;
    while (session) {
        struct session *next = session->flush_next;
        session->is_flushing = false;
        session_flush(session);
        session = next;
    }
}

static void on_flush(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct session_hub *hub = context;
    flush_all(hub);
    bury_dead(hub);
}

void session_hub_flush(struct session_hub *hub)
{
    flush_all(hub);
}

static bool config_is_good(const struct session_hub_config *config)
{
    return !incarnation_is_zero(&config->incarnation) && config->sessions_max > 0 &&
           config->receive_bytes_max >= FRAME_HEADER_BYTES &&
           config->receive_bytes_max <= FRAME_BYTES_MAX && config->output_bytes_max > 0 &&
           config->output_total_max > 0 && config->linger_ms > 0;
}

enum ckpt_status session_hub_open(struct event_base *base, const struct session_hub_config *config,
                                  struct session_hub **hub_out)
{
    if (!config_is_good(config)) {
        return CKPT_ERR_INVALID;
    }
    struct session_hub *hub = calloc(1, sizeof(*hub));
    if (!hub) {
        return CKPT_ERR_MEMORY;
    }
    hub->base = base;
    hub->last_held = &hub->held;
    hub->config = *config;
    hub->buckets = 16;
    while (hub->buckets < config->sessions_max && hub->buckets < UINT32_C(1) << 20) {
        hub->buckets *= 2;
    }
    size_t scratch_bytes = MESSAGE_SCRATCH_BYTES(config->receive_bytes_max);
    hub->links = calloc(hub->buckets, sizeof(*hub->links));
    hub->scratch_memory = malloc(scratch_bytes);
    hub->frame = malloc(FRAME_BYTES_MAX);
    hub->flush_event = event_new(base, -1, 0, on_flush, hub);
    if (!hub->links || !hub->scratch_memory || !hub->frame || !hub->flush_event ||
        session_filter_make(config->sessions_max, &hub->filter) != CKPT_OK) {
        session_hub_close(&hub);
        return CKPT_ERR_MEMORY;
    }
    message_scratch_init(&hub->scratch, hub->scratch_memory, scratch_bytes);
    *hub_out = hub;
    return CKPT_OK;
}

/* Reading from a session may end that one alone; those that are accepted come in front. */
void session_hub_read(struct session_hub *hub)
{
    for (struct listener *listener = hub->listeners; listener; listener = listener->next) {
        while (listener->accept_event && !listener_accept(listener)) {
        }
    }
    for (struct session *session = hub->sessions; session;) {
        struct session *next = session->next;
        (void)session_read(session);
        session = next;
    }
}

void session_hub_pause(struct session_hub *hub)
{
    hub->is_paused = true;
}

void session_hub_resume(struct session_hub *hub)
{
    hub->is_paused = false;
    for (struct listener *listener = hub->listeners; listener; listener = listener->next) {
        if (listener->is_held) {
            listener->is_held = false;
            event_add(listener->accept_event, NULL);
        }
    }
    while (hub->held && !hub->is_paused) {
        struct session *session = hub->held;
        hub->held = session->held_next;
        if (!hub->held) {
            hub->last_held = &hub->held;
        }
        session->is_held = false;
        session_let_go(session);
    }
}

void session_hub_stop_listening(struct session_hub *hub)
{
    while (hub->listeners) {
        struct listener *listener = hub->listeners;
        hub->listeners = listener->next;
        for (struct session *session = hub->sessions; session; session = session->next) {
            if (session->listener == listener) {
                door_leave(session);
            }
        }
        listener_free(listener);
    }
}

void session_hub_close(struct session_hub **hub)
{
    if (!*hub) {
        return;
    }
    struct session_hub *old = *hub;
    session_hub_stop_listening(old);
    while (old->sessions) {
        struct session *session = old->sessions;
        old->sessions = session->next;
        session_free(session);
    }
    bury_dead(old);
    resolver_free(&old->resolver);
    if (old->flush_event) {
        event_free(old->flush_event);
    }
    if (old->filter) {
        session_filter_free(&old->filter);
    }
    free(old->frame);
    free(old->scratch_memory);
    free(old->links);
    free(old);
    *hub = NULL;
}

struct session_counters session_hub_counters(const struct session_hub *hub)
{
    return hub->counters;
}

struct session *session_find(const struct session_hub *hub, uint32_t link)
{
    struct session *session = hub->links[link & (hub->buckets - 1)];
    while (session && session->link != link) {
        session = session->bucket_next;
    }
    return session;
}

void session_schedule(struct session *session)
{
    struct session_hub *hub = session->hub;
    if (!session->is_flushing) {
        session->is_flushing = true;
        session->flush_next = hub->flushing;
        hub->flushing = session;
        event_active(hub->flush_event, EV_TIMEOUT, 0);
    }
}

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
