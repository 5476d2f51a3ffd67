/* SPDX-License-Identifier: Apache-2.0 */
/* A file that one process at a time holds. */
#ifndef CKPT_STORE_LOCK_H
#define CKPT_STORE_LOCK_H

#include <ckpt/status.h>

/* Takes the lock on `path`, makes the file where it is missing, and writes this process's id into
 * it. The kernel drops the lock when the process ends, however it ends; the file stays.
 *
 * *fd_out is to be closed by the caller, which gives the lock back.
 *
 * ERRORS
 * - CKPT_ERR_BUSY - held; reason_out (CKPT_REASON_MAX + 1 bytes) names the holder's process id
 * - CKPT_ERR_FULL - no room for it
 * - CKPT_ERR_SYSTEM - the file cannot be made or locked; reason_out says why */
enum ckpt_status store_lock_take(const char *path, int *fd_out, char *reason_out);

#endif
