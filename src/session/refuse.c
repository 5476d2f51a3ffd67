/* SPDX-License-Identifier: Apache-2.0 */
#include "session/refuse.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"

enum ckpt_status session_refuse(char *reason_out, enum ckpt_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason_out, CKPT_REASON_MAX + 1, format, arguments);
    va_end(arguments);
    return status;
}
