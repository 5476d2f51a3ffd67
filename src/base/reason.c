/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text as it is, which may be what is in its place already. */
static void copy(char *reason_out, const char *text)
{
    size_t bytes = strnlen(text, CKPT_REASON_MAX);
    memmove(reason_out, text, bytes);
    reason_out[bytes] = '\0';
}

/* Most reasons of a coordinator are "", in answers that all is well: those are not formatted. */
void reason_set(char *reason_out, const char *format, ...)
{
    if (reason_out == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    if (strcmp(format, "%s") == 0) {
        copy(reason_out, va_arg(arguments, const char *));
    } else {
        (void)vsnprintf(reason_out, CKPT_REASON_MAX + 1, format, arguments);
    }
    va_end(arguments);
}

enum ckpt_status reason_refuse(char *reason_out, enum ckpt_status status, const char *format, ...)
{
    if (reason_out == NULL) {
        return status;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason_out, CKPT_REASON_MAX + 1, format, arguments);
    va_end(arguments);
    return status;
}

enum ckpt_status reason_refuse_in(struct reason reason, enum ckpt_status status, const char *format,
                                  ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason.out, reason.size, format, arguments);
    va_end(arguments);
    return status;
}
