/* SPDX-License-Identifier: Apache-2.0 */
#include "session/schedule.h"

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
