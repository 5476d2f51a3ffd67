/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's machine. */
#ifndef CKPT_CKPTCTLD_MACHINE_H
#define CKPT_CKPTCTLD_MACHINE_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

extern struct part part_machine;
enum machine_key {
    MACHINE_AGENTS,
    MACHINE_RUNS,
    MACHINE_CHECKPOINTS,
    MACHINE_SHARDS,
    MACHINE_KEEP,
    MACHINE_HEARTBEAT,
    MACHINE_LEASE,
    MACHINE_GRACE,
    MACHINE_FORGET,
    MACHINE_SAVE_TIMEOUT,
    MACHINE_RESEND,
    MACHINE_SETTLE,
    MACHINE_REPAIR_AFTER,
    MACHINE_RESTORE_TIMEOUT,
    MACHINE_PASSES,
    MACHINE_PULL_ATTEMPTS,
    MACHINE_ENDED_TIMEOUT,
    MACHINE_PRESSURE,
    MACHINE_USER_SHARE,
    MACHINE_EXPIRE,
    MACHINE_EXPIRE_LAST,
    MACHINE_DIGEST,
    MACHINE_KEYS
};

struct coordinator_config machine_config(const struct config *config);

/* A machine without records, that is to rule in this epoch. CKPT_ERR_MEMORY. */
enum ckpt_status machine_make(struct daemon *daemon, uint64_t epoch);

/* Draws what a run that begins next has its key from; false: there are no random numbers. */
bool machine_draw_secret(struct daemon *daemon);

/* No thread reads it any more. */
void machine_free(struct daemon *daemon);

#endif
