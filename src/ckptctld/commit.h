/* SPDX-License-Identifier: Apache-2.0 */
/* Records to the store, before anybody hears of them.
 *
 * While a transaction is under way, however long its disk takes, both hubs are paused: words of
 * agents wait in their sockets, the machine's clock stands still (base/lateness.h), signals and the
 * service manager's watchdog are served. */
#ifndef CKPT_CKPTCTLD_COMMIT_H
#define CKPT_CKPTCTLD_COMMIT_H

#include "ckptctld/daemon.h"
#include "daemon/part.h"

/* How long a commit takes before that is said. */
extern struct part part_commit;

/* Hands the update's records to the store; calls durable when they are, and ends the process where
 * that fails. */
void commit_begin(struct daemon *daemon, void (*durable)(struct daemon *daemon));

/* Looks now and then whether another coordinator rules, which ends the process. */
void commit_look(struct daemon *daemon);

#endif
