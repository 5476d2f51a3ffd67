/* SPDX-License-Identifier: Apache-2.0 */
#include "process/progress.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "process/clock.h"

#define LINE_MAX_CHARACTERS 79

static bool shown;

static void show(const char *line, const char *time)
{
    fprintf(stderr, "\r\033[K%.*s%s", LINE_MAX_CHARACTERS - 30, line, time);
    shown = true;
}

void progress(const char *format, ...)
{
    char line[LINE_MAX_CHARACTERS];
    va_list arguments;
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    show(line, "");
}

void progress_part(uint64_t done, uint64_t all, const char *format, ...)
{
    static uint64_t began_ns;
    char line[LINE_MAX_CHARACTERS];
    char time[32] = "";
    va_list arguments;
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (done == 0 || began_ns == 0) {
        began_ns = clock_now_ns();
    } else {
        double passed = seconds_since(began_ns);
        snprintf(time, sizeof(time), "; %.0f s, about %.0f s left", passed,
                 passed / (double)done * (double)(all - done));
    }
    show(line, time);
}

void progress_clear(void)
{
    if (shown) {
        fprintf(stderr, "\r\033[K");
        shown = false;
    }
}
