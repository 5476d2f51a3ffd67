/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator's whole life: made in order, run, unmade in reverse. */
#ifndef CKPT_CKPTCTLD_START_H
#define CKPT_CKPTCTLD_START_H

#include "ckptctld/daemon.h"

/* Makes its parts; the last steps are the loop's. On failure, too, it is to be stopped. */
enum ckpt_status daemon_start(struct daemon *daemon, const struct options *options);

/* Serves until it is told to end, or cannot go on; the process's exit code. */
enum exit_code daemon_run(struct daemon *daemon);

/* Gives back what was taken; ends the process at once where the disk does not let go of it. */
void daemon_stop(struct daemon *daemon);

#endif
