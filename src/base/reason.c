/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"

#include <stdarg.h>
#include <stdio.h>

void reason_set(char *reason_out, const char *format, ...)
{
    if (reason_out == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason_out, CKPT_REASON_MAX + 1, format, arguments);
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
