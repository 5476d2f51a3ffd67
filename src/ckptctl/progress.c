/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctl/progress.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "ckptctl/pause.h"
#include "ckptctl/text.h"

#define REDRAW_MS 100 /* not more often, whatever is shown */
#define TICK_MS 1000
#define ERASE "\r\033[K"

/* Of this process's only line. */
static struct {
    pthread_mutex_t lock; /* guards the rest, and the terminal */
    bool has_ticker;
    bool is_wanted; /* progress_show came after the last progress_clear */
    bool is_drawn;
    char text[256];
    uint64_t since_ms; /* 0: nothing was ever shown */
    uint64_t drawn_ms;
} line = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void put(const char *text)
{
    /* A terminal that cannot be written to shows nothing. */
    (void)!write(STDERR_FILENO, text, strlen(text));
}

/* A line that is wider than the terminal could not be drawn over. */
static size_t width(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known ? (size_t)size.ws_col - 1 : 79;
}

static void draw(uint64_t now)
{
    char text[sizeof(line.text) + 64];
    char drawn[sizeof(text) + sizeof(ERASE)];
    uint64_t passed_ms = now - line.since_ms;
    int used = snprintf(text, sizeof(text), "%s", line.text);
    if (passed_ms >= TICK_MS) {
        (void)snprintf(text + used, sizeof(text) - (size_t)used, " (%s)", AGE_TEXT(passed_ms));
    }
    size_t columns = width();
    if (columns < sizeof(text)) {
        text[columns] = '\0';
    }
    (void)snprintf(drawn, sizeof(drawn), ERASE "%s", text);
    put(drawn);
    line.is_drawn = true;
    line.drawn_ms = now;
}

static void *tick(void *context)
{
    (void)context;
    for (;;) {
        pause_ms(TICK_MS);
        pthread_mutex_lock(&line.lock);
        if (line.is_wanted) {
            draw(clock_now_ms());
        }
        pthread_mutex_unlock(&line.lock);
    }
    return NULL;
}

/* Without a thread the line is only drawn when it changes. */
static void start_ticker(void)
{
    pthread_t thread;
    if (!line.has_ticker && pthread_create(&thread, NULL, tick, NULL) == 0) {
        (void)pthread_detach(thread);
        line.has_ticker = true;
    }
}

void progress_show(const struct ctl *ctl, const char *format, ...)
{
    va_list arguments;
    if (ctl->json || !isatty(STDERR_FILENO)) {
        return;
    }
    uint64_t now = clock_now_ms();
    pthread_mutex_lock(&line.lock);
    va_start(arguments, format);
    vsnprintf(line.text, sizeof(line.text), format, arguments);
    va_end(arguments);
    line.is_wanted = true;
    line.since_ms = line.since_ms == 0 ? now : line.since_ms;
    start_ticker();
    if (!line.is_drawn || now - line.drawn_ms >= REDRAW_MS) {
        draw(now);
    }
    pthread_mutex_unlock(&line.lock);
}

void progress_clear(void)
{
    pthread_mutex_lock(&line.lock);
    if (line.is_drawn) {
        put(ERASE);
    }
    line.is_wanted = line.is_drawn = false;
    pthread_mutex_unlock(&line.lock);
}
