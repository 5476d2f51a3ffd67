/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/hear.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptctld/admin.h"
#include "ckptctld/turn.h"
#include "wire/message_codec.h"

static void agent_opened(struct session *session, void *context)
{
    struct daemon *daemon = context;
    struct coordinator_event event = {.type = COORDINATOR_CONNECTED, .link = session_link(session)};
    log_event(EVENT_connected, "peer=%s link=%" PRIu32, session_peer(session),
              session_link(session));
    turn_event(daemon, &event, NULL);
}

static void agent_message(struct session *session, const struct message *message, void *context)
{
    struct daemon *daemon = context;
    if (daemon->ending) {
        return;
    }
    if (message->type == MESSAGE_ADMIN_ASK) {
        admin_answer(daemon, session, message);
        return;
    }
    struct coordinator_event event = {
        .type = COORDINATOR_MESSAGE, .link = session_link(session), .message = message};
    turn_event(daemon, &event, NULL);
}

/* A scanner comes again and again, and an agent of another version tries for ever. */
static void say_refused(struct daemon *daemon, const struct session *session,
                        enum ckpt_status status, const char *reason)
{
    uint64_t now_ms = clock_now_ms();
    struct rare *rare = rare_find(daemon->refused, REFUSED_SAID, rare_key(0, reason), now_ms);
    if (rare && rare_happens(rare, now_ms)) {
        log_event(EVENT_peer_refused, "peer=%s status=%s count=%" PRIu64 " text=%s",
                  session_peer(session), ckpt_status_name(status), rare->count, LOG_QUOTED(reason));
    }
}

/* Told in our version's words: one that can't read them has at least its own log. */
static void refuse(struct session *session, enum ckpt_status status, const char *reason,
                   void *context)
{
    struct message message = {.type = MESSAGE_WELCOME};
    message.welcome.status = status;
    reason_set(message.welcome.reason, "%s", reason);
    say_refused(context, session, status, reason);
    session_send(session, &message, NULL, 0);
}

static void agent_closed(struct session *session, enum ckpt_status status, const char *reason,
                         void *context)
{
    struct daemon *daemon = context;
    struct coordinator_event event = {.type = COORDINATOR_DISCONNECTED,
                                      .link = session_link(session)};
    log_event(status == CKPT_OK ? EVENT_disconnected : EVENT_connection_lost,
              "peer=%s link=%" PRIu32 " status=%s text=%s", session_peer(session),
              session_link(session), ckpt_status_name(status), LOG_QUOTED(reason));
    turn_event(daemon, &event, NULL);
}

static void local_opened(struct session *session, void *context)
{
    (void)context;
    log_event(EVENT_connected, "peer=%s", session_peer(session));
}

static void local_message(struct session *session, const struct message *message, void *context)
{
    struct daemon *daemon = context;
    if (daemon->ending) {
        return;
    }
    if (message->type == MESSAGE_ADMIN_ASK) {
        admin_answer(daemon, session, message);
        return;
    }
    log_event(EVENT_peer_refused, "peer=%s type=%s text=%s", session_peer(session),
              message_type_name(message->type), "\"only ckptctl speaks here; agents use TCP\"");
    session_close(session);
}

static void local_closed(struct session *session, enum ckpt_status status, const char *reason,
                         void *context)
{
    (void)context;
    log_event(EVENT_disconnected, "peer=%s status=%s text=%s", session_peer(session),
              ckpt_status_name(status), LOG_QUOTED(reason));
}

const struct session_events hear_agents = {
    .opened = agent_opened, .message = agent_message, .broken = refuse, .closed = agent_closed};
const struct session_events hear_local = {
    .opened = local_opened, .message = local_message, .broken = refuse, .closed = local_closed};
