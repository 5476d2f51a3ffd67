/* SPDX-License-Identifier: Apache-2.0 */
/* Two doors: TCP for agents, and a UNIX socket for ckptctl. */
#ifndef CKPT_CKPTCTLD_DOORS_H
#define CKPT_CKPTCTLD_DOORS_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

/* The addresses are taken by the start, before anything else is. */
extern struct part part_doors;
enum doors_key { DOORS_LISTEN, DOORS_SOCKET, DOORS_KEYS };

/* The next steps: who connects waits, from before the epoch rises on; and is heard. EXIT_ENDED for
 * success; what went wrong is logged. */
enum exit_code doors_listen(struct daemon *daemon);
enum exit_code doors_serve(struct daemon *daemon);

/* Nobody is heard any more; what was said last may still go out. */
void doors_close(struct daemon *daemon);

#endif
