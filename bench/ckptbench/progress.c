/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static bool shown;

void progress(const char *format, ...)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    char line[79];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, "\r\033[K%s", line);
    shown = true;
}

void progress_clear(void)
{
    if (shown) {
        fprintf(stderr, "\r\033[K");
        shown = false;
    }
}
