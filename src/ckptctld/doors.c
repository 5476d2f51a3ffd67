/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/doors.h"

#include <sys/random.h>

#include "base/log.h"
#include "ckptctld/hear.h"
#include "daemon/address_key.h"
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

static const struct config_key keys[DOORS_KEYS] = {
    [DOORS_LISTEN] = {.section = "coordinator",
                      .name = "listen",
                      .flag = "listen",
                      .letter = 'l',
                      .type = CONFIG_STRING,
                      .fallback = "127.0.0.1:7471",
                      .placeholder = "HOST:PORT",
                      .help = "where agents reach the coordinator; *:7471 is every address"},
    [DOORS_SOCKET] = {.section = "coordinator",
                      .name = "socket",
                      .flag = "socket",
                      .letter = 's',
                      .type = CONFIG_PATH,
                      .fallback = "/run/ckptctld/ckptctld.sock",
                      .help = "UNIX socket for ckptctl, which knows its caller's user"},
};

static enum ckpt_status check(const struct config *config, char *reason)
{
    enum ckpt_status status =
        address_key_check_host(config, &part_doors, DOORS_LISTEN, ADDRESS_LISTEN,
                               "agents do not reach a path: write host:port", reason);
    return status == CKPT_OK ? address_key_check_path(config, &part_doors, DOORS_SOCKET, reason)
                             : status;
}

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

static enum exit_code bind_all(struct daemon *daemon)
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
        status = session_bind(daemon->local, daemon->options.socket, 0666, &local, &hear_local,
                              daemon, NULL, reason);
    }
    if (status == CKPT_OK) {
        status = session_bind(daemon->agents, daemon->options.listen, 0, &agents, &hear_agents,
                              daemon, daemon->address, reason);
    }
    return status == CKPT_OK ? EXIT_ENDED : refuse_start(status, reason);
}

enum exit_code doors_listen(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status = session_hub_listen(daemon->local, reason);
    if (status == CKPT_OK) {
        status = session_hub_listen(daemon->agents, reason);
    }
    return status == CKPT_OK ? EXIT_ENDED : refuse_start(status, reason);
}

enum exit_code doors_serve(struct daemon *daemon)
{
    char reason[CKPT_REASON_MAX + 1];
    enum ckpt_status status = session_hub_serve(daemon->local, reason);
    if (status == CKPT_OK) {
        status = session_hub_serve(daemon->agents, reason);
    }
    return status == CKPT_OK ? EXIT_ENDED : refuse_start(status, reason);
}

void doors_close(struct daemon *daemon)
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

static enum ckpt_status start(void *context, char *reason)
{
    struct daemon *daemon = context;
    (void)reason; /* it is logged */
    daemon->exit_code = bind_all(daemon);
    return daemon->exit_code == EXIT_ENDED ? CKPT_OK : CKPT_ERR_SYSTEM;
}

static void stop(void *context)
{
    doors_close(context);
}

struct part part_doors = {
    .keys = keys, .key_count = DOORS_KEYS, .check = check, .start = start, .stop = stop};
