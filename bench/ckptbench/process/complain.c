/* SPDX-License-Identifier: Apache-2.0 */
#include "process/complain.h"

#include <stdarg.h>
#include <stdio.h>

#include "process/belongings.h"
#include "process/progress.h"

void complain(const char *format, ...)
{
    va_list arguments;
    belongings_stand_by();
    progress_clear();
    fputs("ckptbench: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}
