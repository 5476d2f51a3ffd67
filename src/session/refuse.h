/* SPDX-License-Identifier: Apache-2.0 */
/* One line about a failure. */
#ifndef CKPT_SESSION_REFUSE_H
#define CKPT_SESSION_REFUSE_H

#include <ckpt/status.h>

/* Writes the line to reason_out (CKPT_REASON_MAX + 1 bytes) and returns status. */
enum ckpt_status session_refuse(char *reason_out, enum ckpt_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
