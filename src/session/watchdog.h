/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's loop tells the service manager that it turns (WatchdogSec= of systemd.service(5)):
 * one that hangs is ended and started anew, and adopts what it held. */
#ifndef CKPT_SESSION_WATCHDOG_H
#define CKPT_SESSION_WATCHDOG_H

#include <ckpt/status.h>

struct event_base;
struct session_watchdog;

/* From now on WATCHDOG=1 goes to $NOTIFY_SOCKET three times in each interval that $WATCHDOG_USEC
 * names, by the loop itself. *watchdog_out is NULL, and CKPT_OK the answer, where no manager asks
 * this process for it. Reads the environment: for a program's main thread. CKPT_ERR_MEMORY. */
enum ckpt_status session_watchdog_start(struct event_base *base,
                                        struct session_watchdog **watchdog_out);

/* Ends it, and sets *watchdog to NULL; a pointer to NULL is taken. */
void session_watchdog_free(struct session_watchdog **watchdog);

#endif
