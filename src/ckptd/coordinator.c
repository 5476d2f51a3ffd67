/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/coordinator.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptd/connections.h"
#include "daemon/address_key.h"
#include "session/session.h"

#define RECONNECT_MS_MIN 50
#define RECONNECT_MS_MAX 2000
#define SLOW_CONNECT_S 2 /* a look-up or a connect that takes so long is said */

static const struct config_key keys[COORDINATOR_KEYS] = {
    [COORDINATOR_ADDRESS] = {.section = "agent",
                             .name = "coordinator",
                             .flag = "coordinator",
                             .letter = 'C',
                             .type = CONFIG_STRING,
                             .fallback = "127.0.0.1:7471",
                             .placeholder = "HOST:PORT",
                             .help = "where ckptctld listens"},
};

static void retry(struct daemon *d)
{
    struct timeval pause = {.tv_sec = d->reconnect_ms / 1000,
                            .tv_usec = (suseconds_t)(d->reconnect_ms % 1000) * 1000};
    event_add(d->reconnect_event, &pause);
    d->reconnect_ms =
        d->reconnect_ms * 2 > RECONNECT_MS_MAX ? RECONNECT_MS_MAX : d->reconnect_ms * 2;
}

/* Said at once for each reason, and then rarely, until this node has joined. */
static void say_unreached(struct daemon *d, const char *reason)
{
    if (connections_is_news(d, EVENT_coordinator_not_connected, reason)) {
        log_event(EVENT_coordinator_not_connected,
                  "address=%s tries=%" PRIu32 " for_s=%" PRIu64 " reason=%s",
                  part_text(d->config, &part_coordinator, COORDINATOR_ADDRESS), d->tries,
                  (clock_now_ms() - d->away_since_ms) / 1000, LOG_QUOTED(reason));
    }
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

void coordinator_is_up(struct daemon *d, const struct session *session)
{
    d->coordinator_up = true;
    event_del(d->reconnect_event);
    if (connections_is_news(d, EVENT_coordinator_connected, session_peer(session))) {
        log_event(EVENT_coordinator_connected, "peer=%s", session_peer(session));
    }
    find_address(d, session);
}

/* Only who welcomes this node is the coordinator: one that refuses it is tried again with the same
 * growing pauses as one that is not there. */
void coordinator_has_spoken(struct daemon *d)
{
    if (d->is_joined || agent_join_status(d->machine) != CKPT_OK) {
        return;
    }
    d->is_joined = true;
    d->reconnect_ms = RECONNECT_MS_MIN;
    d->tries = 0;
    memset(d->said, 0, sizeof(d->said));
}

/* Of a coordinator that refused this node the machine says why. */
static void say_closed(struct daemon *d, enum ckpt_status status, const char *reason)
{
    enum ckpt_status join = agent_join_status(d->machine);
    if (d->is_joined) {
        d->is_joined = false;
        d->away_since_ms = clock_now_ms();
        log_event(EVENT_coordinator_disconnected, "status=%s reason=%s", ckpt_status_name(status),
                  LOG_QUOTED(reason));
    } else if (join == CKPT_ERR_NO_COORDINATOR) {
        char text[CKPT_REASON_MAX + 1];
        snprintf(text, sizeof(text), "it took the connection, and not this node: %.180s", reason);
        say_unreached(d, text);
    }
}

bool coordinator_is_down(struct daemon *d, enum ckpt_status status, const char *reason)
{
    bool was_up = d->coordinator_up;
    d->coordinator = NULL;
    d->coordinator_up = false;
    if (was_up) {
        say_closed(d, status, reason);
    } else {
        say_unreached(d, reason);
    }
    retry(d);
    return was_up;
}

void coordinator_connect(struct daemon *d)
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
    d->away_since_ms = d->away_since_ms != 0 ? d->away_since_ms : clock_now_ms();
    enum ckpt_status status =
        session_connect(d->hub, part_text(d->config, &part_coordinator, COORDINATOR_ADDRESS),
                        CONNECTIONS_TIMEOUT_MS, d->coordinator_events, d, &d->coordinator, reason);
    if (status != CKPT_OK) {
        say_unreached(d, reason);
        retry(d);
        return;
    }
    event_add(d->reconnect_event, &slow);
}

static void on_reconnect(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    coordinator_connect(context);
}

static enum ckpt_status check(const struct config *config, char *reason)
{
    return address_key_check_host(config, &part_coordinator, COORDINATOR_ADDRESS, ADDRESS_CONNECT,
                                  "a path is not reached from other nodes: write host:port",
                                  reason);
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    d->reconnect_ms = RECONNECT_MS_MIN;
    d->reconnect_event = evtimer_new(d->base, on_reconnect, d);
    return d->reconnect_event != NULL
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_SYSTEM, "the event loop can't be made");
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    if (d->reconnect_event != NULL) {
        event_free(d->reconnect_event);
    }
}

struct part part_coordinator = {
    .keys = keys, .key_count = COORDINATOR_KEYS, .check = check, .start = start, .stop = stop};
