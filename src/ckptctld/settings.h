/* SPDX-License-Identifier: Apache-2.0 */
/* What ckptctld is told by its file, environment and flags. */
#ifndef CKPT_CKPTCTLD_SETTINGS_H
#define CKPT_CKPTCTLD_SETTINGS_H

#include "base/log.h"
#include "coordinator/coordinator.h"

/* What a caller over TCP, whose user nobody can prove, may ask. */
enum tcp_admin {
    TCP_ADMIN_NONE,
    TCP_ADMIN_STATUS, /* status and nodes, which name no run */
    TCP_ADMIN_FULL,   /* everything, of everybody */
};

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JOURNAL, LOG_FORMAT_TIME };

struct options {
    const char *listen;
    const char *socket;
    const char *state_directory;
    const struct store_backend *store;
    enum tcp_admin tcp_admin;
    uint64_t epoch_above; /* 0: whatever the store says */
    struct nonce cluster; /* of a new state directory; zero: a random one */
    enum log_level log_level;
    enum log_format log_format;
    struct coordinator_config machine;
};

#endif
