/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions: ranks on the UNIX socket, peers in both directions, the coordinator.
 *
 * Peers' and ranks' links are the sessions' own numbers; a connection that the machine asked for
 * has the machine's number, kept in made_links. The coordinator is connected to for ever, with
 * growing pauses. */
#include "ckptd/daemon.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "ckptd/options.h"
#include "session/address.h"

#define CONNECT_TIMEOUT_MS 3000
#define RECONNECT_MS_MIN 50
#define RECONNECT_MS_MAX 2000
#define SLOW_CONNECT_S 2 /* a look-up or a connect that takes so long is said */
#define STRANGER_MS 5000 /* a connection that never says who it is */
#define PEERS_MAX 512    /* that read from here, or might */
#define PEER_STRANGERS_MAX 64
/* Beside the machine's seats: connections that it is about to refuse, with a reason. */
#define RANKS_REFUSED_MAX 64
#define RANKS_KEPT 16 /* for root and the agent's own user */

/* Whether it is to be said now that this event happens with this peer. */
static bool is_news(struct daemon *d, enum event_id event, const char *peer)
{
    uint64_t now_ms = daemon_now_ms();
    struct rare *rare = rare_find(d->said, DAEMON_SAID, rare_key(event, peer), now_ms);
    return rare != NULL && rare_happens(rare, now_ms);
}

static void turn(struct daemon *d, enum agent_event_type type, uint32_t link, uint32_t uid,
                 const struct message *message)
{
    struct agent_event event = {.type = type, .link = link, .uid = uid, .message = message};
    daemon_event(d, &event);
}

/* ---- ranks ---- */

static void rank_opened(struct session *session, void *context)
{
    turn(context, AGENT_RANK_UP, session_link(session), session_uid(session), NULL);
}

static void rank_message(struct session *session, const struct message *message, void *context)
{
    struct daemon *d = context;
    d->event_descriptor = message->type == MESSAGE_GATHER ? session_take_descriptor(session) : -1;
    turn(d, AGENT_RANK_MESSAGE, session_link(session), session_uid(session), message);
    if (d->event_descriptor >= 0) {
        close(d->event_descriptor);
        d->event_descriptor = -1;
    }
}

static void rank_closed(struct session *session, enum ckpt_status status, const char *reason,
                        void *context)
{
    if (status != CKPT_OK) {
        log_event(EVENT_rank_disconnected, "peer=%s status=%s reason=%s",
                  LOG_QUOTED(session_peer(session)), ckpt_status_name(status), LOG_QUOTED(reason));
    }
    turn(context, AGENT_RANK_DOWN, session_link(session), session_uid(session), NULL);
}

/* A client of another version gets a refusal that it can read; other bytes get nothing. */
static void rank_broken(struct session *session, enum ckpt_status status, const char *reason,
                        void *context)
{
    if (is_news(context, EVENT_rank_refused, reason)) {
        log_event(EVENT_rank_refused, "peer=%s status=%s reason=%s",
                  LOG_QUOTED(session_peer(session)), ckpt_status_name(status), LOG_QUOTED(reason));
    }
    if (status == CKPT_ERR_VERSION) {
        struct message refusal = {.type = MESSAGE_RANK_OPENED};
        refusal.rank_opened.status = CKPT_ERR_VERSION;
        snprintf(refusal.rank_opened.reason, sizeof(refusal.rank_opened.reason), "%s", reason);
        (void)session_send(session, &refusal, NULL, 0);
    }
}

static const struct session_events rank_events = {
    .opened = rank_opened, .message = rank_message, .broken = rank_broken, .closed = rank_closed};

/* ---- peers ---- */

static uint32_t peer_link(struct daemon *d, const struct session *session)
{
    for (struct made_link *made = d->made_links; made != NULL; made = made->next) {
        if (made->session == session) {
            return made->link;
        }
    }
    return session_link(session);
}

static void peer_opened(struct session *session, void *context)
{
    struct daemon *d = context;
    for (struct made_link *made = d->made_links; made != NULL; made = made->next) {
        if (made->session == session && made->is_looked_up) {
            turn(d, AGENT_PEER_UP, made->link, 0, NULL);
            return;
        }
    }
}

static void peer_message(struct session *session, const struct message *message, void *context)
{
    turn(context, AGENT_PEER_MESSAGE, peer_link(context, session), 0, message);
}

static void forget(struct daemon *d, uint32_t link)
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

static void peer_closed(struct session *session, enum ckpt_status status, const char *reason,
                        void *context)
{
    struct daemon *d = context;
    uint32_t link = peer_link(d, session);
    if (status != CKPT_OK && is_news(d, EVENT_peer_disconnected, session_peer(session))) {
        log_event(EVENT_peer_disconnected, "peer=%s status=%s reason=%s", session_peer(session),
                  ckpt_status_name(status), LOG_QUOTED(reason));
    }
    forget(d, link);
    mover_link_down(d->mover, link);
    turn(d, AGENT_PEER_DOWN, link, 0, NULL);
}

static const struct session_events peer_events = {
    .opened = peer_opened, .message = peer_message, .closed = peer_closed};

void links_connect_peer(struct daemon *d, uint32_t link, const char *address)
{
    char reason[CKPT_REASON_MAX + 1];
    struct made_link *made = calloc(1, sizeof *made);
    enum ckpt_status status = made == NULL
                                  ? CKPT_ERR_MEMORY
                                  : session_connect(d->hub, address, CONNECT_TIMEOUT_MS,
                                                    &peer_events, d, &made->session, reason);
    if (status != CKPT_OK) {
        if (is_news(d, EVENT_peer_not_connected, address)) {
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

void links_say_lookups(struct daemon *d)
{
    for (struct made_link *made = d->made_links; made != NULL; made = made->next) {
        if (made->lookup_is_unsaid) {
            made->lookup_is_unsaid = false;
            turn(d, AGENT_PEER_LOOKUP, made->link, 0, NULL);
            event_active(d->lookup_event, EV_TIMEOUT, 0); /* the list may be another now */
            return;
        }
    }
}

void links_close_peer(struct daemon *d, uint32_t link)
{
    struct session *session = links_find(d, AGENT_TO_PEER, link);
    if (session != NULL) {
        session_close(session);
    }
}

/* ---- the coordinator ---- */

static void retry(struct daemon *d)
{
    struct timeval pause = {.tv_sec = d->reconnect_ms / 1000,
                            .tv_usec = (suseconds_t)(d->reconnect_ms % 1000) * 1000};
    event_add(d->reconnect_event, &pause);
    d->reconnect_ms =
        d->reconnect_ms * 2 > RECONNECT_MS_MAX ? RECONNECT_MS_MAX : d->reconnect_ms * 2;
}

/* Who listens at every address tells the one by which the coordinator is reached: what lies on that
 * network reaches it, and "every" is of no use to anybody. */
static void find_address(struct daemon *d, const struct session *session)
{
    char host[CKPT_ADDRESS_MAX + 1];
    char address[2 * CKPT_ADDRESS_MAX];
    if (!d->address_is_found || !session_local_host(session, host)) {
        return;
    }
    snprintf(address, sizeof(address), "%s:%s", host, d->port);
    if (strlen(address) <= CKPT_ADDRESS_MAX && strcmp(address, d->address) != 0) {
        strcpy(d->address, address);
        log_event(EVENT_address_found,
                  "address=%s text=\"told to others; advertise sets "
                  "another\"",
                  d->address);
    }
}

static void coordinator_opened(struct session *session, void *context)
{
    struct daemon *d = context;
    struct agent_event event = {.type = AGENT_COORDINATOR_UP};
    d->coordinator_up = true;
    event_del(d->reconnect_event);
    if (is_news(d, EVENT_coordinator_connected, session_peer(session))) {
        log_event(EVENT_coordinator_connected, "peer=%s", session_peer(session));
    }
    find_address(d, session);
    event.address = d->address;
    daemon_event(d, &event);
}

/* Said at once for each reason, and then rarely, until this node has joined. */
static void say_unreached(struct daemon *d, const char *reason)
{
    if (is_news(d, EVENT_coordinator_not_connected, reason)) {
        log_event(EVENT_coordinator_not_connected,
                  "address=%s tries=%" PRIu32 " for_s=%" PRIu64 " reason=%s",
                  config_text(d->config, OPTION_COORDINATOR), d->tries,
                  (daemon_now_ms() - d->away_since_ms) / 1000, LOG_QUOTED(reason));
    }
}

/* Only who welcomes this node is the coordinator: one that refuses it is tried again with the same
 * growing pauses as one that is not there. */
static void note_joined(struct daemon *d)
{
    if (d->is_joined || agent_join_status(d->machine) != CKPT_OK) {
        return;
    }
    d->is_joined = true;
    d->reconnect_ms = RECONNECT_MS_MIN;
    d->tries = 0;
    memset(d->said, 0, sizeof(d->said));
}

static void coordinator_message(struct session *session, const struct message *message,
                                void *context)
{
    (void)session;
    if (message->type == MESSAGE_WELCOME && message->welcome.status == CKPT_OK) {
        FAULT_POINT(agent_before_inventory);
    } else if (message->type == MESSAGE_PULL_ORDER && message->pull_order.purpose == PULL_RESTORE) {
        FAULT_POINT(agent_restore_before_read);
    }
    turn(context, AGENT_COORDINATOR_MESSAGE, 0, 0, message);
    note_joined(context);
}

/* Of a coordinator that refused this node the machine says why. */
static void say_closed(struct daemon *d, enum ckpt_status status, const char *reason)
{
    enum ckpt_status join = agent_join_status(d->machine);
    if (d->is_joined) {
        d->is_joined = false;
        d->away_since_ms = daemon_now_ms();
        log_event(EVENT_coordinator_disconnected, "status=%s reason=%s", ckpt_status_name(status),
                  LOG_QUOTED(reason));
    } else if (join == CKPT_ERR_NO_COORDINATOR) {
        char text[CKPT_REASON_MAX + 1];
        snprintf(text, sizeof(text), "it took the connection, and not this node: %.180s", reason);
        say_unreached(d, text);
    }
}

static void coordinator_closed(struct session *session, enum ckpt_status status, const char *reason,
                               void *context)
{
    struct daemon *d = context;
    (void)session;
    d->coordinator = NULL;
    if (d->coordinator_up) {
        d->coordinator_up = false;
        say_closed(d, status, reason);
        turn(d, AGENT_COORDINATOR_DOWN, 0, 0, NULL);
    } else {
        say_unreached(d, reason);
    }
    retry(d);
}

static const struct session_events coordinator_events = {
    .opened = coordinator_opened, .message = coordinator_message, .closed = coordinator_closed};

void links_connect_coordinator(struct daemon *d)
{
    char reason[CKPT_REASON_MAX + 1];
    struct timeval slow = {.tv_sec = SLOW_CONNECT_S};
    if (d->coordinator != NULL) {
        say_unreached(d, session_is_looked_up(d->coordinator) ? "its name is still being looked up"
                                                              : "no answer to the connect yet");
        event_add(d->reconnect_event, &slow);
        return;
    }
    d->tries++;
    d->away_since_ms = d->away_since_ms != 0 ? d->away_since_ms : daemon_now_ms();
    enum ckpt_status status =
        session_connect(d->hub, config_text(d->config, OPTION_COORDINATOR), CONNECT_TIMEOUT_MS,
                        &coordinator_events, d, &d->coordinator, reason);
    if (status != CKPT_OK) {
        say_unreached(d, reason);
        retry(d);
        return;
    }
    event_add(d->reconnect_event, &slow);
}

/* ---- all ---- */

struct session *links_find(struct daemon *d, enum agent_target target, uint32_t link)
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

/* What others are told: as configured, else what listen is bound to. */
static void choose_address(struct daemon *d, const char *bound)
{
    const char *advertise = config_text(d->config, OPTION_ADVERTISE);
    const char *port = strrchr(bound, ':');
    snprintf(d->address, sizeof(d->address), "%s", advertise != NULL ? advertise : bound);
    d->address_is_found = advertise == NULL && port != NULL && address_is_any(bound);
    if (d->address_is_found) {
        snprintf(d->port, sizeof(d->port), "%.6s", port + 1);
    }
}

static uint32_t seats(const struct config *config)
{
    const struct agent_config of_machine = {.ranks_max =
                                                (uint32_t)config_number(config, OPTION_RANKS_MAX)};
    return agent_seats(&of_machine);
}

uint32_t links_sessions_max(const struct config *config)
{
    return 2 * seats(config) + RANKS_REFUSED_MAX + PEERS_MAX;
}

/* Who has a seat is the machine's to say, with a reason. Here only is bounded what a user can make
 * this process hold, so that there is always a connection left for others. */
enum ckpt_status links_bind(struct daemon *d, char *reason)
{
    const struct session_door peers = {
        .sessions_max = PEERS_MAX, .strangers_max = PEER_STRANGERS_MAX, .stranger_ms = STRANGER_MS};
    const struct session_door ranks = {.sessions_max = 2 * seats(d->config) + RANKS_REFUSED_MAX,
                                       .a_user_max = seats(d->config) + RANKS_REFUSED_MAX / 4,
                                       .kept = RANKS_KEPT,
                                       .stranger_ms = STRANGER_MS};
    char bound[CKPT_ADDRESS_MAX + 1];
    unsigned long mode = strtoul(config_text(d->config, OPTION_SOCKET_MODE), NULL, 8);
    enum ckpt_status status = session_bind(d->hub, config_text(d->config, OPTION_LISTEN), 0, &peers,
                                           &peer_events, d, bound, reason);
    if (status == CKPT_OK) {
        /* So that nobody else can; a rank's socket is better refused until it is of use. */
        status = session_hub_listen(d->hub, reason);
    }
    if (status != CKPT_OK) {
        return status;
    }
    choose_address(d, bound);
    return session_bind(d->hub, config_text(d->config, OPTION_SOCKET), (mode_t)mode, &ranks,
                        &rank_events, d, NULL, reason);
}

void links_free(struct daemon *d)
{
    while (d->made_links != NULL) {
        forget(d, d->made_links->link);
    }
}
