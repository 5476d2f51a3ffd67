/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/limits.h"
#include "digest/digest.h"
#include "session/address.h"
#include "transport/transport.h"
#include "transport/transport.h"

static const char *const huge_pages[] = {"auto", "require", "never", NULL};
static const char *const locks[] = {"require", "try", "off", NULL};
static const char *const engines[] = {"auto", "scalar", "sse41", "avx2", "avx512", "neon", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

static const struct config_key keys[OPTION_COUNT] = {
    [OPTION_NODE] = {.section = "agent",
                     .name = "node",
                     .flag = "node",
                     .letter = 'n',
                     .type = CONFIG_STRING,
                     .fallback_is = "the host name",
                     .help = "name of this node, unique in the cluster"},
    [OPTION_DOMAIN] = {.section = "agent",
                       .name = "domain",
                       .flag = "domain",
                       .type = CONFIG_STRING,
                       .fallback_is = "the switch or block that topology has, or the node's name",
                       .help = "failure domain: what fails together (chassis, rack, switch)"},
    [OPTION_TOPOLOGY] = {.section = "agent",
                         .name = "topology",
                         .flag = "topology",
                         .type = CONFIG_PATH,
                         .help = "Slurm's topology.conf or topology.yaml: where domain is not set, "
                                 "the switch or block of this node is it"},
    [OPTION_COORDINATOR] = {.section = "agent",
                            .name = "coordinator",
                            .flag = "coordinator",
                            .letter = 'C',
                            .type = CONFIG_STRING,
                            .fallback = "127.0.0.1:7471",
                            .placeholder = "HOST:PORT",
                            .help = "where ckptctld listens"},
    [OPTION_LISTEN] =
        {.section = "agent",
         .name = "listen",
         .flag = "listen",
         .letter = 'l',
         .type = CONFIG_STRING,
         .fallback = "127.0.0.1:7472",
         .placeholder = "HOST:PORT",
         .help = "where other agents reach this one; port 0 takes a free one, *:7472 every "
                 "address"},
    [OPTION_ADVERTISE] = {.section = "agent",
                          .name = "advertise",
                          .flag = "advertise",
                          .type = CONFIG_STRING,
                          .fallback_is = "what listen is bound to; for every address, the one by "
                                         "which the coordinator is reached",
                          .placeholder = "HOST:PORT",
                          .help = "the address told to others, when it differs from listen"},
    [OPTION_SOCKET] = {.section = "agent",
                       .name = "socket",
                       .flag = "socket",
                       .letter = 's',
                       .type = CONFIG_PATH,
                       .fallback = "/run/ckptd/ckptd.sock",
                       .help = "UNIX socket for the ranks of this node"},
    [OPTION_SOCKET_MODE] = {.section = "agent",
                            .name = "socket_mode",
                            .type = CONFIG_INTEGER,
                            .fallback = "666",
                            .max = 777,
                            .help = "permissions of the socket, octal"},
    [OPTION_COPIES] = {.section = "agent",
                       .name = "copies",
                       .type = CONFIG_INTEGER,
                       .fallback = "2",
                       .min = 1,
                       .max = CKPT_COPIES_MAX,
                       .help =
                           "copies of each shard for runs that do not say, the owner's included"},
    [OPTION_RANKS_MAX] = {.section = "agent",
                          .name = "ranks_max",
                          .type = CONFIG_INTEGER,
                          .fallback = "64",
                          .min = 1,
                          .max = 1024,
                          .help = "processes of one user served at once; a third as many more are "
                                  "for other users, and a few for root's hooks"},
    [OPTION_PULLS_MAX] = {.section = "agent",
                          .name = "pulls_max",
                          .type = CONFIG_INTEGER,
                          .fallback = "4",
                          .min = 1,
                          .max = 64,
                          .help = "shards read from peers at once; more wait"},
    [OPTION_RESEND] = {.section = "agent",
                       .name = "resend",
                       .type = CONFIG_DURATION,
                       .fallback = "500ms",
                       .min = 10,
                       .max = 60000,
                       .help = "a message without an answer is repeated after so long"},
    [OPTION_PULL_TIMEOUT] = {.section = "agent",
                             .name = "pull_timeout",
                             .type = CONFIG_DURATION,
                             .fallback = "5s",
                             .min = 100,
                             .max = 600000,
                             .help = "a source that does not answer for so long is given up"},
    [OPTION_LOAD_TIMEOUT] = {.section = "agent",
                             .name = "load_timeout",
                             .type = CONFIG_DURATION,
                             .fallback = "10min",
                             .min = 1000,
                             .max = 86400000,
                             .help = "a rank's load without a verdict for so long fails"},
    [OPTION_ARENA_DIRECTORY] = {.section = "arena",
                                .name = "directory",
                                .type = CONFIG_PATH,
                                .fallback_is = "ckptd-NODE in hugetlbfs or /dev/shm",
                                .help = "where the segments lie; its parent must exist"},
    [OPTION_ARENA_BYTES] = {.section = "arena",
                            .name = "bytes",
                            .letter = 'b',
                            .type = CONFIG_BYTES,
                            .fallback = "4GiB",
                            .min = 2 << 20,
                            .max = INT64_C(1) << 50,
                            .help = "pinned memory; rounded down to whole segments"},
    [OPTION_ARENA_SEGMENT_BYTES] = {.section = "arena",
                                    .name = "segment_bytes",
                                    .type = CONFIG_BYTES,
                                    .fallback = "256MiB",
                                    .min = 2 << 20,
                                    .max = INT64_C(1) << 40,
                                    .help = "size of one segment, a multiple of 2 MiB"},
    [OPTION_ARENA_HUGE_PAGES] = {.section = "arena",
                                 .name = "huge_pages",
                                 .type = CONFIG_ENUM,
                                 .choices = huge_pages,
                                 .fallback = "auto",
                                 .help = "whether segments lie in hugetlbfs"},
    [OPTION_ARENA_LOCK] = {.section = "arena",
                           .name = "lock",
                           .type = CONFIG_ENUM,
                           .choices = locks,
                           .fallback = "try",
                           .help = "whether segments are locked into memory (mlock)"},
    [OPTION_ARENA_NUMA_NODES] = {.section = "arena",
                                 .name = "numa_nodes",
                                 .type = CONFIG_LIST,
                                 .help =
                                     "NUMA nodes to spread the segments over; empty: do not bind"},
    [OPTION_ARENA_PREFAULT_THREADS] = {.section = "arena",
                                       .name = "prefault_threads",
                                       .type = CONFIG_INTEGER,
                                       .fallback = "0",
                                       .max = 256,
                                       .help = "threads that fault the arena in; 0: one a core"},
    [OPTION_TRANSPORT] = {.section = "transport",
                          .name = "spec",
                          .flag = "transport",
                          .letter = 't',
                          .type = CONFIG_STRING,
                          .fallback = "ucx:tcp",
                          .help = "data plane: ucx, ucx:tcp, ucx:shm, ucx:rc, verbs (RDMA), auto "
                                  "(verbs where it can be used, else ucx:tcp), "
                                  "fault:KEY=VALUE,...:SPEC; the same on all agents"},
    [OPTION_TRANSPORT_DEVICES] = {.section = "transport",
                                  .name = "devices",
                                  .type = CONFIG_STRING,
                                  .fallback_is = "all that fit",
                                  .help = "network devices to use: lo, eth0, mlx5_0:1"},
    [OPTION_TRANSPORT_RAILS] = {.section = "transport",
                                .name = "rails",
                                .type = CONFIG_STRING,
                                .fallback = "auto",
                                .help = "RDMA ports: auto (all nearest to the memory, by the "
                                        "topology), a list (mlx5_0+mlx5_1:2), or a map by memory "
                                        "(numa0=mlx5_0, numa1=mlx5_1); ckptctl topology shows it"},
    [OPTION_TRANSPORT_TIMEOUT] = {.section = "transport",
                                  .name = "timeout",
                                  .type = CONFIG_DURATION,
                                  .fallback = "5s",
                                  .min = 100,
                                  .max = 600000,
                                  .help = "a read without an answer for so long fails"},
    [OPTION_TRANSPORT_DEPTH] = {.section = "transport",
                                .name = "depth",
                                .type = CONFIG_INTEGER,
                                .fallback = "0",
                                .max = 4096,
                                .help = "slices in flight; 0: what the transport likes"},
    [OPTION_TRANSPORT_SLICE_BYTES] = {.section = "transport",
                                      .name = "slice_bytes",
                                      .type = CONFIG_BYTES,
                                      .fallback = "0",
                                      .max = 1 << 30,
                                      .help = "bytes of one read; 0: what the transport likes"},
    [OPTION_TRANSPORT_TRAFFIC_CLASS] = {.section = "transport",
                                        .name = "traffic_class",
                                        .type = CONFIG_INTEGER,
                                        .fallback = "0",
                                        .max = 255,
                                        .help = "of RDMA packets: DSCP * 4 (106 for DSCP 26 with "
                                                "ECN); 0: the device's own"},
    [OPTION_TRANSPORT_SERVICE_LEVEL] = {.section = "transport",
                                        .name = "service_level",
                                        .type = CONFIG_INTEGER,
                                        .fallback = "0",
                                        .max = 15,
                                        .help = "of RDMA packets: the priority of RoCE in a VLAN"},
    [OPTION_TRANSPORT_SPIN] = {.section = "transport",
                               .name = "spin_us",
                               .type = CONFIG_INTEGER,
                               .fallback = "100",
                               .min = 1,
                               .max = 1000000,
                               .help = "microseconds the RDMA poller looks again after the last "
                                       "completion, with reads in flight, before it sleeps"},
    [OPTION_DIGEST_ENGINE] = {.section = "digest",
                              .name = "engine",
                              .type = CONFIG_ENUM,
                              .choices = engines,
                              .fallback = "auto",
                              .help = "BLAKE3 engine; auto: the widest this CPU runs"},
    [OPTION_DIGEST_THREADS] = {.section = "digest",
                               .name = "threads",
                               .type = CONFIG_INTEGER,
                               .fallback = "2",
                               .min = 1,
                               .max = 64,
                               .help = "threads that digest"},
    [OPTION_DIGEST_NICE] = {.section = "digest",
                            .name = "nice",
                            .type = CONFIG_INTEGER,
                            .fallback = "10",
                            .max = 19,
                            .help = "how far the digest threads stand back behind the trainer"},
    [OPTION_READY_FD] = {.name = "ready_fd",
                         .flag = "ready-fd",
                         .type = CONFIG_INTEGER,
                         .min = 3,
                         .max = 1 << 20,
                         .help = "descriptor that gets the line \"ready\", or why not, and is "
                                 "closed then"},
    [OPTION_IDLE_EXIT] = {.section = "agent",
                          .name = "idle_exit",
                          .flag = "idle-exit",
                          .type = CONFIG_DURATION,
                          .fallback = "0",
                          .max = 86400000,
                          .help = "ends when for so long nothing is held, no process is served and "
                                  "no job runs; 0: never"},
    [OPTION_LOG_LEVEL] = {.section = "log",
                          .name = "level",
                          .flag = "log-level",
                          .type = CONFIG_ENUM,
                          .choices = levels,
                          .fallback = "info",
                          .help = "the least important lines that are logged"},
};

static const char *library(void)
{
    static char text[32];

    snprintf(text, sizeof(text), "UCX %s", transport_ucx_version());
    return text;
}

const struct config_program ckptd_program = {
    .name = "ckptd",
    .version = CKPT_VERSION,
    .library = library,
    .summary =
        "The agent: one on each node of a training cluster. It owns the node's pinned memory, "
        "keeps "
        "checkpoint shards of local ranks and of other nodes' ranks in it, digests them, and reads "
        "shards from other agents when the coordinator (ckptctld) orders it. Ranks talk to it "
        "through "
        "libckpt.",
    .keys = keys,
    .key_count = OPTION_COUNT,
    .examples =
        "  ckptd --coordinator=10.0.0.1:7471 --listen=10.0.0.7:7472 --domain=rack3 -b 256GiB\n"
        "  ckptd --config=/etc/ckptd/ckptd.conf --check-config\n"
        "  ckptd --compat orbax-replicator /local    no agent, but one's client: for jobs of JAX\n"
        "                                            with Orbax's multi-tier checkpointing\n",
    .exit_codes = "  0  ended by SIGTERM or SIGINT, everything put in order\n"
                  "  1  it could not start, or lost what it needs; the log says why\n"
                  "  2  the configuration is wrong\n",
};

/* "WHERE = VALUE: what is wanted". */
static enum ckpt_status refuse(const struct config *config, size_t option, char *reason,
                               const char *wanted)
{
    char said[CONFIG_SAID_SIZE];
    config_say(config, option, said);
    snprintf(reason, CKPT_REASON_MAX + 1, "%s: %.130s", said, wanted);
    return CKPT_ERR_CONFIG;
}

static enum ckpt_status check_name(const struct config *config, size_t option, size_t bytes_max,
                                   char *reason)
{
    const char *name = config_text(config, option);
    if (name == NULL || name_is_valid(name, bytes_max)) {
        return CKPT_OK;
    }
    return refuse(config, option, reason, "must be 1 to 63 of A-Z a-z 0-9 . _ / -");
}

/* The default directory is named after the node. */
static enum ckpt_status check_names(const struct config *config, char *reason)
{
    const char *node = config_text(config, OPTION_NODE);
    enum ckpt_status status = check_name(config, OPTION_NODE, CKPT_NODE_NAME_MAX, reason);
    if (status == CKPT_OK && node != NULL && strchr(node, '/') != NULL &&
        !config_is_set(config, OPTION_ARENA_DIRECTORY)) {
        status = refuse(config, OPTION_NODE, reason,
                        "with a / in it, [arena] directory must be set: it is named after the node "
                        "otherwise");
    }
    return status == CKPT_OK ? check_name(config, OPTION_DOMAIN, CKPT_DOMAIN_NAME_MAX, reason)
                             : status;
}

/* A path is no address between nodes. */
static enum ckpt_status check_address(const struct config *config, size_t option,
                                      enum address_use use, char *reason)
{
    char where[512];
    char why[CKPT_REASON_MAX + 1] = "a path is not reached from other nodes: write host:port";
    const char *text = config_text(config, option);
    if (text == NULL || (!address_is_path(text) && address_check(text, use, why) == CKPT_OK)) {
        return CKPT_OK;
    }
    config_describe(config, option, where, sizeof where);
    snprintf(reason, CKPT_REASON_MAX + 1, "%.90s: %.160s", where, why);
    return CKPT_ERR_CONFIG;
}

/* Of ranks: a path, and not too long for one. */
static enum ckpt_status check_socket(const struct config *config, char *reason)
{
    char why[CKPT_REASON_MAX + 1] = "want a path that starts with '/'";
    const char *path = config_text(config, OPTION_SOCKET);
    if (address_is_path(path) && address_check(path, ADDRESS_LISTEN, why) == CKPT_OK) {
        return CKPT_OK;
    }
    return refuse(config, OPTION_SOCKET, reason, why);
}

static enum ckpt_status check_addresses(const struct config *config, char *reason)
{
    enum ckpt_status status = check_address(config, OPTION_COORDINATOR, ADDRESS_CONNECT, reason);
    if (status == CKPT_OK) {
        status = check_address(config, OPTION_LISTEN, ADDRESS_LISTEN, reason);
    }
    if (status == CKPT_OK) {
        status = check_address(config, OPTION_ADVERTISE, ADDRESS_CONNECT, reason);
    }
    return status == CKPT_OK ? check_socket(config, reason) : status;
}

static enum ckpt_status check_arena(const struct config *config, char *reason)
{
    char bytes_said[CONFIG_SAID_SIZE];
    char segment_said[CONFIG_SAID_SIZE];
    uint64_t segment_bytes = (uint64_t)config_number(config, OPTION_ARENA_SEGMENT_BYTES);
    uint64_t segments = (uint64_t)config_number(config, OPTION_ARENA_BYTES) / segment_bytes;
    if (segment_bytes % (2 * CKPT_MIB) != 0) {
        return refuse(config, OPTION_ARENA_SEGMENT_BYTES, reason, "must be a multiple of 2MiB");
    }
    const char *wrong = segments < 1                         ? "is less than"
                        : segments > CKPT_ARENA_SEGMENTS_MAX ? "is more than 4096 times"
                                                             : NULL;
    _Static_assert(CKPT_ARENA_SEGMENTS_MAX == 4096, "as it says");
    if (wrong == NULL) {
        return CKPT_OK;
    }
    config_say(config, OPTION_ARENA_BYTES, bytes_said);
    config_say(config, OPTION_ARENA_SEGMENT_BYTES, segment_said);
    snprintf(reason, CKPT_REASON_MAX + 1, "%.110s: %s %.110s", bytes_said, wrong, segment_said);
    return CKPT_ERR_CONFIG;
}

static enum ckpt_status check_engines(const struct config *config, char *reason)
{
    const struct digest_engine *engine;
    const char *wanted = config_text(config, OPTION_DIGEST_ENGINE);
    const char *spec = config_text(config, OPTION_TRANSPORT);
    if (strcmp(wanted, "auto") != 0 && digest_engine_select(wanted, &engine) != CKPT_OK) {
        return refuse(config, OPTION_DIGEST_ENGINE, reason, "this CPU can't run it");
    }
    if (strcmp(spec, "auto") != 0 && transport_spec_check(spec) != CKPT_OK) {
        return refuse(config, OPTION_TRANSPORT, reason, transport_open_error());
    }
    return CKPT_OK;
}

enum ckpt_status options_numa_nodes(const struct config *config, int nodes_out[ARENA_NODES_MAX],
                                    size_t *count_out, char *reason)
{
    size_t count = config_list_count(config, OPTION_ARENA_NUMA_NODES);
    if (count > ARENA_NODES_MAX) {
        return refuse(config, OPTION_ARENA_NUMA_NODES, reason, "more nodes than can be bound to");
    }
    for (size_t i = 0; i < count; i++) {
        const char *text = config_list_at(config, OPTION_ARENA_NUMA_NODES, i);
        char *end;
        long node = strtol(text, &end, 10);
        if (end == text || *end != '\0' || node < 0 || node > INT_MAX) {
            return refuse(config, OPTION_ARENA_NUMA_NODES, reason,
                          "must be numbers of NUMA nodes, with commas");
        }
        nodes_out[i] = (int)node;
    }
    *count_out = count;
    return CKPT_OK;
}

enum ckpt_status options_check(const struct config *config, char *reason)
{
    char *end;
    int nodes[ARENA_NODES_MAX];
    size_t count;
    const char *mode = config_text(config, OPTION_SOCKET_MODE);
    (void)strtoul(mode, &end, 8);
    if (*mode == '\0' || *end != '\0') {
        return refuse(config, OPTION_SOCKET_MODE, reason, "must be octal");
    }
    enum ckpt_status status = check_names(config, reason);
    if (status == CKPT_OK) {
        status = check_addresses(config, reason);
    }
    if (status == CKPT_OK) {
        status = check_arena(config, reason);
    }
    if (status == CKPT_OK) {
        status = options_numa_nodes(config, nodes, &count, reason);
    }
    return status == CKPT_OK ? check_engines(config, reason) : status;
}
