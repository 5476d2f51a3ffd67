/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon tells the service manager that started it: sd_notify(3), by hand. */
#ifndef CKPT_SESSION_NOTIFY_H
#define CKPT_SESSION_NOTIFY_H

#include <ckpt/status.h>

/* Sends one datagram of "NAME=value" lines ("READY=1", "STOPPING=1", "STATUS=...") to
 * $NOTIFY_SOCKET; CKPT_OK without a word when that is not set. Reads the environment: for a
 * program's main thread. Never blocks.
 *
 * ERRORS
 * - CKPT_ERR_INVALID - NOTIFY_SOCKET is neither a path nor an abstract name
 * - CKPT_ERR_SYSTEM - it could not be sent; errno says why */
enum ckpt_status session_notify(const char *text);

#endif
