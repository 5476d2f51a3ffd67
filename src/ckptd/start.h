/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's whole life: made in order, run, unmade in reverse. */
#ifndef CKPT_CKPTD_START_H
#define CKPT_CKPTD_START_H

#include "ckptd/daemon.h"
#include "daemon/part.h"

/* On failure, too, it is to be stopped. */
enum ckpt_status daemon_start(struct daemon *d, const struct config *config,
                              char reason[PART_REASON_BYTES]);

/* Serves until it is told to end, or cannot go on; the process's exit code. */
int daemon_run(struct daemon *d);
void daemon_stop(struct daemon *d);

#endif
