/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/connections.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "session/session.h"

struct made_link {
    struct made_link *next;
    uint32_t link;
    struct session *session;
    bool is_looked_up;     /* its peer's name is, or was when it began */
    bool lookup_is_unsaid; /* and the machine does not know yet */
};

bool connections_is_news(struct daemon *d, enum event_id event, const char *peer)
{
    uint64_t now_ms = clock_now_ms();
    struct rare *rare = rare_find(d->said, DAEMON_SAID, rare_key(event, peer), now_ms);
    return rare != NULL && rare_happens(rare, now_ms);
}

static const struct made_link *find_session(const struct daemon *d, const struct session *session)
{
    for (const struct made_link *made = d->made_links; made != NULL; made = made->next) {
        if (made->session == session) {
            return made;
        }
    }
    return NULL;
}

uint32_t connections_link(const struct daemon *d, const struct session *session)
{
    const struct made_link *made = find_session(d, session);
    return made != NULL ? made->link : session_link(session);
}

bool connections_was_looked_up(const struct daemon *d, const struct session *session)
{
    const struct made_link *made = find_session(d, session);
    return made != NULL && made->is_looked_up;
}

void connections_forget(struct daemon *d, uint32_t link)
{
    for (struct made_link **at = &d->made_links; *at != NULL; at = &(*at)->next) {
        if ((*at)->link == link) {
            struct made_link *made = *at;
            *at = made->next;
            free(made);
            return;
        }
    }
}

void connections_connect(struct daemon *d, uint32_t link, const char *address)
{
    char reason[CKPT_REASON_MAX + 1];
    struct made_link *made = calloc(1, sizeof *made);
    enum ckpt_status status = made == NULL
                                  ? CKPT_ERR_MEMORY
                                  : session_connect(d->hub, address, CONNECTIONS_TIMEOUT_MS,
                                                    d->peer_events, d, &made->session, reason);
    if (status != CKPT_OK) {
        if (connections_is_news(d, EVENT_peer_not_connected, address)) {
            log_event(EVENT_peer_not_connected, "address=%s status=%s", address,
                      ckpt_status_name(status));
        }
        free(made);
        return; /* the machine's own time-out ends the pull */
    }
    made->link = link;
    made->next = d->made_links;
    d->made_links = made;
    made->is_looked_up = made->lookup_is_unsaid = session_is_looked_up(made->session);
    if (made->is_looked_up) {
        event_active(d->lookup_event, EV_TIMEOUT, 0); /* not from inside a turn */
    }
}

bool connections_take_lookup(struct daemon *d, uint32_t *link_out)
{
    for (struct made_link *made = d->made_links; made != NULL; made = made->next) {
        if (made->lookup_is_unsaid) {
            made->lookup_is_unsaid = false;
            *link_out = made->link;
            return true;
        }
    }
    return false;
}

void connections_close(struct daemon *d, uint32_t link)
{
    struct session *session = connections_find(d, AGENT_TO_PEER, link);
    if (session != NULL) {
        session_close(session);
    }
}

struct session *connections_find(struct daemon *d, enum agent_target target, uint32_t link)
{
    if (target == AGENT_TO_COORDINATOR) {
        return d->coordinator_up ? d->coordinator : NULL;
    }
    if ((link & AGENT_LINK_MADE_HERE) == 0) {
        return session_find(d->hub, link);
    }
    for (struct made_link *made = d->made_links; made != NULL; made = made->next) {
        if (made->link == link) {
            return made->session;
        }
    }
    return NULL;
}

void connections_free(struct daemon *d)
{
    while (d->made_links != NULL) {
        connections_forget(d, d->made_links->link);
    }
}
