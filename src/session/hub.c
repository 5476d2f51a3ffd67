/* SPDX-License-Identifier: Apache-2.0 */
/* Every session of a program, in one event loop. */
#include <stdlib.h>

#include "session/bind.h"
#include "session/door.h"
#include "session/flush.h"
#include "session/life.h"
#include "session/listen.h"
#include "session/process.h"
#include "session/receive.h"

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
        if (session_let_go(session) && session->is_orphan) {
            session_process_ended(session);
        }
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
