/* SPDX-License-Identifier: Apache-2.0 */
#include "arena/explain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void arena_explain(char reason[ARENA_REASON_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, ARENA_REASON_BYTES, format, arguments);
    va_end(arguments);
}

enum ckpt_status arena_explain_errno(char reason[ARENA_REASON_BYTES], const char *format, ...)
{
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(reason, ARENA_REASON_BYTES, format, arguments);
    va_end(arguments);
    if (length >= 0 && length < ARENA_REASON_BYTES) {
        char buffer[128];
        const char *text = strerror_r(error, buffer, sizeof buffer);
        (void)snprintf(reason + length, (size_t)(ARENA_REASON_BYTES - length), ": %s", text);
    }
    return error == ENOSPC || error == ENOMEM ? CKPT_ERR_MEMORY : CKPT_ERR_SYSTEM;
}
