/* SPDX-License-Identifier: Apache-2.0 */
/* What ckptd can be told. */
#ifndef CKPT_CKPTD_OPTIONS_H
#define CKPT_CKPTD_OPTIONS_H

#include "arena/arena.h"
#include "config/config.h"

enum option {
    OPTION_NODE,
    OPTION_DOMAIN,
    OPTION_TOPOLOGY,
    OPTION_COORDINATOR,
    OPTION_LISTEN,
    OPTION_ADVERTISE,
    OPTION_SOCKET,
    OPTION_SOCKET_MODE,
    OPTION_COPIES,
    OPTION_RANKS_MAX,
    OPTION_PULLS_MAX,
    OPTION_RESEND,
    OPTION_PULL_TIMEOUT,
    OPTION_LOAD_TIMEOUT,
    OPTION_ARENA_DIRECTORY,
    OPTION_ARENA_BYTES,
    OPTION_ARENA_SEGMENT_BYTES,
    OPTION_ARENA_HUGE_PAGES,
    OPTION_ARENA_LOCK,
    OPTION_ARENA_NUMA_NODES,
    OPTION_ARENA_PREFAULT_THREADS,
    OPTION_TRANSPORT,
    OPTION_TRANSPORT_DEVICES,
    OPTION_TRANSPORT_RAILS,
    OPTION_TRANSPORT_TIMEOUT,
    OPTION_TRANSPORT_DEPTH,
    OPTION_TRANSPORT_SLICE_BYTES,
    OPTION_TRANSPORT_TRAFFIC_CLASS,
    OPTION_TRANSPORT_SERVICE_LEVEL,
    OPTION_TRANSPORT_SPIN,
    OPTION_DIGEST_ENGINE,
    OPTION_DIGEST_THREADS,
    OPTION_DIGEST_NICE,
    OPTION_READY_FD,
    OPTION_IDLE_EXIT,
    OPTION_LOG_LEVEL,
    OPTION_COUNT,
};

extern const struct config_program ckptd_program;

/* What the table of keys can't say: names, the octal mode, whole segments. Before anything is made,
 * so that --check-config says it too. CKPT_ERR_CONFIG, with one line in reason (CKPT_REASON_MAX + 1
 * bytes). */
enum ckpt_status options_check(const struct config *config, char *reason);

/* [arena] numa_nodes as numbers. CKPT_ERR_CONFIG, with a reason as above. */
enum ckpt_status options_numa_nodes(const struct config *config, int nodes_out[ARENA_NODES_MAX],
                                    size_t *count_out, char *reason);

#endif
