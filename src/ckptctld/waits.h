/* SPDX-License-Identifier: Apache-2.0 */
/* A store that is locked by another program or has no room is waited for; one of which nothing is
 * known any more, as after a failed sync, ends the process, whose next life reads what the disk
 * has. */
#ifndef CKPT_CKPTCTLD_WAITS_H
#define CKPT_CKPTCTLD_WAITS_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

/* Whether a store's failure is waited out: `again` is called after a pause then. */
bool waits_begin(struct daemon *daemon, enum ckpt_status status,
                 void (*again)(struct daemon *daemon));

/* What is being waited for, for a person. */
const char *waits_text(const struct daemon *daemon);

/* With what a process ends whose store has failed. */
enum exit_code waits_exit_code(enum ckpt_status status);

/* The timer of the pauses. */
extern struct part part_waits;

#endif
