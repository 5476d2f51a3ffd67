/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKPT_CKPTD_MACHINE_H
#define CKPT_CKPTD_MACHINE_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

/* The agent's machine, in memory of its own. */
extern struct part part_machine;
enum machine_key {
    MACHINE_COPIES,
    MACHINE_RANKS_MAX,
    MACHINE_PULLS_MAX,
    MACHINE_RESEND,
    MACHINE_PULL_TIMEOUT,
    MACHINE_LOAD_TIMEOUT,
    MACHINE_SCRUB,
    MACHINE_KEYS
};

#endif
