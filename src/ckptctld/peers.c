/* SPDX-License-Identifier: Apache-2.0 */
/* Two doors: TCP for agents, and a UNIX socket for ckptctl. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "ckptctld/daemon.h"
#include "wire/message_codec.h"

#define LOCAL_SESSIONS_MAX 256
#define LOCAL_USER_MAX 96 /* of them, of one user */
#define LOCAL_KEPT 16     /* of them, for root and the coordinator's own user */
#define STRANGER_MS 5000  /* a connection that never joins, or asks nothing */
#define STRANGERS_MAX(agents_max) ((agents_max) / 2 + 64)
#define LINGER_MS 2000
#define RECEIVE_BYTES 4096 /* some ten frames in one read; each session holds so much */
#define IDLE_MS 60000      /* of a peer of which the machine knows nothing */
#define OUTPUT_BYTES_MAX (2 * FRAME_BYTES_MAX)
#define OUTPUT_TOTAL_MAX (64 * FRAME_BYTES_MAX)

static void agent_opened(struct session *session, void *context)
{
    struct daemon *daemon = context;
    struct coordinator_event event = {.type = COORDINATOR_CONNECTED, .link = session_link(session)};
    log_event(EVENT_connected, "peer=%s link=%" PRIu32, session_peer(session),
              session_link(session));
    loop_advance(daemon, &event, NULL);
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
    loop_advance(daemon, &event, NULL);
}

/* A scanner comes again and again, and an agent of another version tries for ever. */
static void say_refused(struct daemon *daemon, const struct session *session,
                        enum ckpt_status status, const char *reason)
{
    uint64_t now_ms = daemon_now_ms();
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
    snprintf(message.welcome.reason, sizeof(message.welcome.reason), "%s", reason);
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
    loop_advance(daemon, &event, NULL);
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

static const struct session_events agent_events = {
    .opened = agent_opened, .message = agent_message, .broken = refuse, .closed = agent_closed};
static const struct session_events local_events = {
    .opened = local_opened, .message = local_message, .broken = refuse, .closed = local_closed};

/* The longest frame that anybody has reason to send here. */
static size_t receive_bytes_max(void)
{
    static const enum message_type types[] = {
        MESSAGE_JOIN,     MESSAGE_HEARTBEAT,      MESSAGE_SHARD_REPORT, MESSAGE_PULL_FAILED,
        MESSAGE_LOAD_ASK, MESSAGE_CHECKPOINT_ASK, MESSAGE_STALE_EPOCH,  MESSAGE_ADMIN_ASK,
    };
    size_t most = 0;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        size_t bytes = message_frame_bytes_max(types[i]);
        most = bytes > most ? bytes : most;
    }
    return most > RECEIVE_BYTES ? most : RECEIVE_BYTES;
}

static enum exit_code refuse_start(enum ckpt_status status, const char *reason)
{
    log_event(EVENT_listen_failed, "status=%s text=%s", ckpt_status_name(status),
              LOG_QUOTED(reason));
    return status == CKPT_ERR_INVALID ? EXIT_CONFIG : EXIT_START;
}

enum exit_code peers_bind(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1] = "no memory";
    uint32_t strangers_max = STRANGERS_MAX(daemon->options.machine.agents_max);
    const struct session_door agents = {.strangers_max = strangers_max, .stranger_ms = STRANGER_MS};
    const struct session_door local = {.sessions_max = LOCAL_SESSIONS_MAX,
                                       .a_user_max = LOCAL_USER_MAX,
                                       .kept = LOCAL_KEPT,
                                       .stranger_ms = STRANGER_MS};
    struct session_hub_config config = {
        .sessions_max = 2 * daemon->options.machine.agents_max + strangers_max,
        .receive_bytes_max = receive_bytes_max(),
        .output_bytes_max = OUTPUT_BYTES_MAX,
        .output_total_max = OUTPUT_TOTAL_MAX,
        .idle_ms = IDLE_MS + daemon->options.machine.lease_ms,
        .linger_ms = LINGER_MS,
    };
    enum ckpt_status status = CKPT_ERR_SYSTEM;
    if (getrandom(&config.incarnation, sizeof(config.incarnation), 0) !=
        sizeof(config.incarnation)) {
        return refuse_start(status, "no random numbers");
    }
    status = session_hub_open(daemon->base, &config, &daemon->agents);
    if (status == CKPT_OK) {
        config.sessions_max = LOCAL_SESSIONS_MAX;
        status = session_hub_open(daemon->base, &config, &daemon->local);
    }
    if (status == CKPT_OK) {
        status = session_bind(daemon->local, daemon->options.socket, 0666, &local, &local_events,
                              daemon, NULL, reason);
    }
    if (status == CKPT_OK) {
        status = session_bind(daemon->agents, daemon->options.listen, 0, &agents, &agent_events,
                              daemon, daemon->address, reason);
    }
    return status == CKPT_OK ? EXIT_ENDED : refuse_start(status, reason);
}

enum exit_code peers_listen(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status = session_hub_listen(daemon->local, reason);
    if (status == CKPT_OK) {
        status = session_hub_listen(daemon->agents, reason);
    }
    return status == CKPT_OK ? EXIT_ENDED : refuse_start(status, reason);
}

enum exit_code peers_serve(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status = session_hub_serve(daemon->local, reason);
    if (status == CKPT_OK) {
        status = session_hub_serve(daemon->agents, reason);
    }
    return status == CKPT_OK ? EXIT_ENDED : refuse_start(status, reason);
}

void peers_close(struct daemon *daemon)
{
    /* What the last turn said may still go out; nobody waits for it. */
    if (daemon->agents) {
        session_hub_flush(daemon->agents);
        session_hub_close(&daemon->agents);
    }
    if (daemon->local) {
        session_hub_flush(daemon->local);
        session_hub_close(&daemon->local);
    }
}
