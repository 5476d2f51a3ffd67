/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/options.h"

#include <stdio.h>

#include "session/address.h"
#include "store/store.h"

enum key {
    KEY_LISTEN,
    KEY_SOCKET,
    KEY_STATE,
    KEY_STORE,
    KEY_TCP_ADMIN,
    KEY_AGENTS,
    KEY_RUNS,
    KEY_CHECKPOINTS,
    KEY_SHARDS,
    KEY_KEEP,
    KEY_HEARTBEAT,
    KEY_LEASE,
    KEY_GRACE,
    KEY_FORGET,
    KEY_SAVE_TIMEOUT,
    KEY_RESEND,
    KEY_SETTLE,
    KEY_REPAIR_AFTER,
    KEY_RESTORE_TIMEOUT,
    KEY_PASSES,
    KEY_PULL_ATTEMPTS,
    KEY_ENDED_TIMEOUT,
    KEY_PRESSURE,
    KEY_USER_SHARE,
    KEY_EXPIRE,
    KEY_EXPIRE_LAST,
    KEY_LOG_LEVEL,
    KEY_LOG_FORMAT,
    KEY_EPOCH_ABOVE,
    KEY_CLUSTER,
    KEY_COUNT
};

#define DAY_MS (24 * 3600 * 1000)
#define EXPIRE_MAX_MS (3650LL * DAY_MS)
#define FORGET_MAX_MS (40LL * DAY_MS) /* of 32 bits */

static const char *const stores[] = {"sqlite", "memory", NULL};
static const char *const admins[] = {"none", "status", "full", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"auto", "journal", "time", NULL};

/* The defaults of sizes and times are coordinator_config_default's; a unit test compares them. */
static const struct config_key keys[KEY_COUNT] = {
    [KEY_LISTEN] = {.section = "coordinator",
                    .name = "listen",
                    .flag = "listen",
                    .letter = 'l',
                    .type = CONFIG_STRING,
                    .fallback = "127.0.0.1:7471",
                    .placeholder = "HOST:PORT",
                    .help = "where agents reach the coordinator; *:7471 is every address"},
    [KEY_SOCKET] = {.section = "coordinator",
                    .name = "socket",
                    .flag = "socket",
                    .letter = 's',
                    .type = CONFIG_PATH,
                    .fallback = "/run/ckptctld/ckptctld.sock",
                    .help = "UNIX socket for ckptctl, which knows its caller's user"},
    [KEY_STATE] = {.section = "coordinator",
                   .name = "state_directory",
                   .flag = "state-directory",
                   .letter = 'd',
                   .type = CONFIG_PATH,
                   .fallback = "/var/lib/ckptctld",
                   .help = "local directory of the records, made where it is missing"},
    [KEY_STORE] = {.section = "coordinator",
                   .name = "store",
                   .flag = "store",
                   .type = CONFIG_ENUM,
                   .choices = stores,
                   .fallback = "sqlite",
                   .help = "where records go; memory forgets everything at the end"},
    [KEY_TCP_ADMIN] = {.section = "coordinator",
                       .name = "tcp_admin",
                       .flag = "tcp-admin",
                       .type = CONFIG_ENUM,
                       .choices = admins,
                       .fallback = "status",
                       .help =
                           "what ckptctl may do over TCP, where its user is not known: full lets "
                           "anyone who reaches the port see and retire everything"},
    [KEY_AGENTS] = {.section = "coordinator",
                    .name = "agents_max",
                    .flag = "agents-max",
                    .type = CONFIG_INTEGER,
                    .fallback = "1024",
                    .min = 1,
                    .max = CKPT_AGENTS_MAX,
                    .help = "nodes that may be joined at once"},
    [KEY_RUNS] = {.section = "coordinator",
                  .name = "runs_max",
                  .flag = "runs-max",
                  .type = CONFIG_INTEGER,
                  .fallback = "1024",
                  .min = 1,
                  .max = 65536,
                  .help = "training runs known at once"},
    [KEY_CHECKPOINTS] = {.section = "coordinator",
                         .name = "checkpoints_max",
                         .flag = "checkpoints-max",
                         .type = CONFIG_INTEGER,
                         .fallback = "16384",
                         .min = 4,
                         .max = 1 << 20,
                         .help = "checkpoints known at once, of all runs"},
    [KEY_SHARDS] = {.section = "coordinator",
                    .name = "shards_max",
                    .flag = "shards-max",
                    .type = CONFIG_INTEGER,
                    .fallback = "65536",
                    .min = 16,
                    .max = 1 << 26,
                    .help = "shards known at once, of all checkpoints: about (keep + 2) times the "
                            "ranks of all runs"},
    [KEY_KEEP] = {.section = "coordinator",
                  .name = "keep",
                  .flag = "keep",
                  .type = CONFIG_INTEGER,
                  .fallback = "2",
                  .min = 1,
                  .max = 64,
                  .help = "consistent checkpoints kept of each run"},
    [KEY_HEARTBEAT] = {.section = "coordinator",
                       .name = "heartbeat",
                       .flag = "heartbeat",
                       .type = CONFIG_DURATION,
                       .fallback = "500ms",
                       .min = 10,
                       .max = DAY_MS,
                       .help = "how often an agent says that it lives"},
    [KEY_LEASE] = {.section = "coordinator",
                   .name = "lease",
                   .flag = "lease",
                   .type = CONFIG_DURATION,
                   .fallback = "3s",
                   .min = 20,
                   .max = DAY_MS,
                   .help = "an agent silent for so long is lost; more than twice heartbeat"},
    [KEY_GRACE] = {.section = "coordinator",
                   .name = "disconnect_grace",
                   .flag = "disconnect-grace",
                   .type = CONFIG_DURATION,
                   .fallback = "1s",
                   .max = DAY_MS,
                   .help = "an agent whose connection closed is lost after so long"},
    [KEY_FORGET] = {.section = "coordinator",
                    .name = "forget",
                    .flag = "forget",
                    .type = CONFIG_DURATION,
                    .fallback = "24h",
                    .min = 20,
                    .max = FORGET_MAX_MS,
                    .help = "a lost agent's node is off the list of nodes after so long, unless "
                            "copies belong there"},
    [KEY_SAVE_TIMEOUT] = {.section = "coordinator",
                          .name = "save_timeout",
                          .flag = "save-timeout",
                          .type = CONFIG_DURATION,
                          .fallback = "120s",
                          .min = 10,
                          .max = DAY_MS,
                          .help = "an open checkpoint without progress for so long is aborted"},
    [KEY_RESEND] = {.section = "coordinator",
                    .name = "resend",
                    .flag = "resend",
                    .type = CONFIG_DURATION,
                    .fallback = "500ms",
                    .min = 10,
                    .max = DAY_MS,
                    .help = "an order without an answer for so long is sent again"},
    [KEY_SETTLE] = {.section = "coordinator",
                    .name = "restore_settle",
                    .flag = "restore-settle",
                    .type = CONFIG_DURATION,
                    .fallback = "10s",
                    .max = DAY_MS,
                    .help = "after a start, agents that have not come back are waited for so "
                            "long before their copies are made again; and a restore waits so "
                            "long for a newer checkpoint that is being verified"},
    [KEY_REPAIR_AFTER] = {.section = "coordinator",
                          .name = "repair_after",
                          .flag = "repair-after",
                          .type = CONFIG_DURATION,
                          .fallback = "10s",
                          .max = DAY_MS,
                          .help = "a lost agent's copies are made again after so long; if it comes "
                                  "back before, nothing is copied"},
    [KEY_RESTORE_TIMEOUT] = {.section = "coordinator",
                             .name = "restore_timeout",
                             .flag = "restore-timeout",
                             .type = CONFIG_DURATION,
                             .fallback = "300s",
                             .min = 10,
                             .max = DAY_MS,
                             .help = "all ranks must have asked and be ready in this"},
    [KEY_PASSES] = {.section = "coordinator",
                    .name = "restore_passes",
                    .flag = "restore-passes",
                    .type = CONFIG_INTEGER,
                    .fallback = "3",
                    .min = 1,
                    .max = 1000,
                    .help = "passes over all copies before a checkpoint is quarantined"},
    [KEY_PULL_ATTEMPTS] = {.section = "coordinator",
                           .name = "pull_attempts_max",
                           .flag = "pull-attempts-max",
                           .type = CONFIG_INTEGER,
                           .fallback = "6",
                           .min = 1,
                           .max = 200,
                           .help = "failed pulls and differing digests of one shard before its "
                                   "checkpoint is aborted"},
    [KEY_ENDED_TIMEOUT] = {.section = "coordinator",
                           .name = "ended_timeout",
                           .flag = "ended-timeout",
                           .type = CONFIG_DURATION,
                           .fallback = "15s",
                           .min = 10,
                           .max = DAY_MS,
                           .help = "an open checkpoint whose job has ended is aborted after so "
                                   "long without progress"},
    [KEY_PRESSURE] = {.section = "coordinator",
                      .name = "pressure_percent",
                      .flag = "pressure-percent",
                      .type = CONFIG_INTEGER,
                      .fallback = "10",
                      .max = 100,
                      .help = "of an arena: with less free, runs whose jobs have ended give up "
                              "what they may"},
    [KEY_USER_SHARE] = {.section = "coordinator",
                        .name = "user_share",
                        .flag = "user-share",
                        .type = CONFIG_INTEGER,
                        .fallback = "75",
                        .min = 1,
                        .max = 100,
                        .help =
                            "percent of runs, checkpoints and shards that one user may take by "
                            "himself; the rest is for users who have little. Root may have all"},
    [KEY_EXPIRE] = {.section = "coordinator",
                    .name = "expire",
                    .flag = "expire",
                    .type = CONFIG_DURATION,
                    .fallback = "168h",
                    .max = EXPIRE_MAX_MS,
                    .help = "a run that nobody saves, loads or reads for so long keeps its newest "
                            "checkpoint alone; a restart counts anew; 0: never"},
    [KEY_EXPIRE_LAST] = {.section = "coordinator",
                         .name = "expire_last",
                         .flag = "expire-last",
                         .type = CONFIG_BOOL,
                         .fallback = "no",
                         .help = "gives up the newest checkpoint of an expired run too"},
    [KEY_LOG_LEVEL] = {.section = "log",
                       .name = "level",
                       .type = CONFIG_ENUM,
                       .choices = levels,
                       .fallback = "info",
                       .help = "how much is logged, to standard error"},
    [KEY_LOG_FORMAT] = {.section = "log",
                        .name = "format",
                        .type = CONFIG_ENUM,
                        .choices = formats,
                        .fallback = "auto",
                        .help = "auto sees whether the journal listens"},
    [KEY_EPOCH_ABOVE] = {.name = "epoch_above",
                         .flag = "epoch-above",
                         .type = CONFIG_INTEGER,
                         .placeholder = "N",
                         .max = INT64_MAX - 1,
                         .help = "rule in an epoch above N: after the state directory was lost or "
                                 "brought back from a backup, when agents have seen N"},
    [KEY_CLUSTER] = {.name = "cluster",
                     .flag = "cluster",
                     .type = CONFIG_STRING,
                     .placeholder = "ID",
                     .help =
                         "the id that a new state directory gets, instead of a random one: that "
                         "of the cluster whose agents are to join again, when its records "
                         "were lost"},
};

const struct config_program options_program = {
    .name = "ckptctld",
    .version = CKPT_VERSION,
    .summary =
        "The coordinator of ckptd: one for a cluster. It decides which checkpoints are "
        "consistent, where copies go, and what a failed job restores. The agents (ckptd) hold "
        "the bytes; training goes on while the coordinator is away, and checkpoints become "
        "consistent when it is back.",
    .keys = keys,
    .key_count = KEY_COUNT,
    .details = "SIGTERM and SIGINT end it within two seconds; what was committed is on disk\n"
               "before anyone is told, so it may also be killed. Logs go to standard error,\n"
               "one event a line. Under systemd it says when it is ready (Type=notify).\n",
    .examples = "  ckptctld --listen=10.0.0.1:7471\n"
                "  ckptctld --listen=127.0.0.1:0 --socket=/tmp/c.sock --state-directory=/tmp/c\n"
                "  ckptctld --check-config\n",
    .exit_codes =
        "  0  ended by SIGTERM or SIGINT\n"
        "  1  could not start or go on: address in use, state directory taken, no memory,\n"
        "     records that could not be synced. Start it again\n"
        "  2  the configuration is wrong\n"
        "  3  the records are damaged: look before starting it again\n"
        "  4  another coordinator rules\n",
};

static uint32_t number(const struct config *config, enum key key)
{
    return (uint32_t)config_number(config, (size_t)key);
}

static enum ckpt_status check_addresses(const struct config *config, char *reason_out)
{
    char where[512];
    char why[CKPT_REASON_MAX + 1] = "agents do not reach a path: write host:port";
    const char *listen = config_text(config, KEY_LISTEN);
    const char *path = config_text(config, KEY_SOCKET);
    enum key wrong = KEY_LISTEN;
    if (!address_is_path(listen) && address_check(listen, ADDRESS_LISTEN, why) == CKPT_OK) {
        wrong = KEY_SOCKET;
        snprintf(why, sizeof(why), "want a path that starts with '/'");
        if (address_is_path(path) && address_check(path, ADDRESS_LISTEN, why) == CKPT_OK) {
            return CKPT_OK;
        }
    }
    config_describe(config, (size_t)wrong, where, sizeof(where));
    snprintf(reason_out, CKPT_REASON_MAX + 1, "%.90s: %.160s", where, why);
    return CKPT_ERR_CONFIG;
}

/* What the machine wants of two of them, in the words of the file. */
static enum ckpt_status check_times(const struct config *config, char *reason_out)
{
    static const struct {
        enum key key;
        enum key than;
        int64_t times;
        const char *must;
        bool may_be_equal;
    } rules[] = {
        {KEY_LEASE, KEY_HEARTBEAT, 2, "must be more than twice", false},
        {KEY_FORGET, KEY_LEASE, 1, "must be at least", true},
        {KEY_SAVE_TIMEOUT, KEY_RESEND, 1, "must be at least", true},
        {KEY_RESTORE_TIMEOUT, KEY_RESEND, 1, "must be at least", true},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        char said[CONFIG_SAID_SIZE];
        char than[CONFIG_SAID_SIZE];
        int64_t value = config_number(config, (size_t)rules[i].key);
        int64_t bound = rules[i].times * config_number(config, (size_t)rules[i].than);
        if (value > bound || (rules[i].may_be_equal && value == bound)) {
            continue;
        }
        config_say(config, (size_t)rules[i].key, said);
        config_say(config, (size_t)rules[i].than, than);
        snprintf(reason_out, CKPT_REASON_MAX + 1, "%s: %s %s", said, rules[i].must, than);
        return CKPT_ERR_CONFIG;
    }
    return CKPT_OK;
}

enum ckpt_status options_read(const struct config *config, struct options *options_out,
                              char *reason_out)
{
    struct options options = {
        .listen = config_text(config, KEY_LISTEN),
        .socket = config_text(config, KEY_SOCKET),
        .state_directory = config_text(config, KEY_STATE),
        .store = store_backend_by_name(config_text(config, KEY_STORE)),
        .tcp_admin = (enum tcp_admin)number(config, KEY_TCP_ADMIN),
        .epoch_above = (uint64_t)config_number(config, KEY_EPOCH_ABOVE),
        .log_level = (enum log_level)number(config, KEY_LOG_LEVEL),
        .log_format = (enum log_format)number(config, KEY_LOG_FORMAT),
        .machine =
            {
                .agents_max = number(config, KEY_AGENTS),
                .runs_max = number(config, KEY_RUNS),
                .checkpoints_max = number(config, KEY_CHECKPOINTS),
                .shards_max = number(config, KEY_SHARDS),
                .keep = number(config, KEY_KEEP),
                .heartbeat_ms = number(config, KEY_HEARTBEAT),
                .lease_ms = number(config, KEY_LEASE),
                .disconnect_grace_ms = number(config, KEY_GRACE),
                .forget_ms = number(config, KEY_FORGET),
                .save_timeout_ms = number(config, KEY_SAVE_TIMEOUT),
                .resend_ms = number(config, KEY_RESEND),
                .restore_settle_ms = number(config, KEY_SETTLE),
                .repair_after_ms = number(config, KEY_REPAIR_AFTER),
                .restore_timeout_ms = number(config, KEY_RESTORE_TIMEOUT),
                .restore_passes = number(config, KEY_PASSES),
                .pull_attempts_max = number(config, KEY_PULL_ATTEMPTS),
                .ended_timeout_ms = number(config, KEY_ENDED_TIMEOUT),
                .pressure_percent = number(config, KEY_PRESSURE),
                .user_share_percent = number(config, KEY_USER_SHARE),
                .expire_ms = (uint64_t)config_number(config, KEY_EXPIRE),
                .expire_last = config_number(config, KEY_EXPIRE_LAST) != 0,
            },
    };
    if (check_addresses(config, reason_out) != CKPT_OK ||
        check_times(config, reason_out) != CKPT_OK) {
        return CKPT_ERR_CONFIG;
    }
    const char *cluster = config_text(config, KEY_CLUSTER);
    if (cluster != NULL && cluster[0] != '\0' && !nonce_from_hex(cluster, &options.cluster)) {
        (void)snprintf(
            reason_out, CKPT_REASON_MAX + 1,
            "--cluster = '%.40s': must be the 32 hexadecimal digits that the logs of its "
            "agents and of its coordinator name",
            cluster);
        return CKPT_ERR_CONFIG;
    }
    if (coordinator_memory_bytes(&options.machine, reason_out) == 0) {
        return CKPT_ERR_CONFIG;
    }
    *options_out = options;
    return CKPT_OK;
}
