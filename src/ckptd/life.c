/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/life.h"

#include <event2/event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptd/turn.h"

#define LOOK_MS 250

static const struct config_key keys[LIFE_KEYS] = {
    [LIFE_IDLE_EXIT] = {.section = "agent",
                        .name = "idle_exit",
                        .flag = "idle-exit",
                        .type = CONFIG_DURATION,
                        .fallback = "0",
                        .max = 86400000,
                        .help = "ends when for so long nothing is held, no process is served and "
                                "no job runs; 0: never"},
    [LIFE_READY_FD] = {.name = "ready_fd",
                       .flag = "ready-fd",
                       .type = CONFIG_INTEGER,
                       .min = 3,
                       .max = 1 << 20,
                       .help = "descriptor that gets the line \"ready\", or why not, and is "
                               "closed then"},
};

static atomic_int stop_signal; /* of a handler, and read by any thread */

static void on_stop(int number)
{
    stop_signal = number;
}

void life_watch_stop(void)
{
    struct sigaction action = {.sa_handler = on_stop};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)signal(SIGHUP, SIG_IGN); /* as later: it is no reason to end */
}

bool life_is_stopped(void)
{
    return stop_signal != 0;
}

void life_tell_starter(const struct config *config, const char *line)
{
    if (!part_is_set(config, &part_life, LIFE_READY_FD)) {
        return;
    }
    int fd = (int)part_number(config, &part_life, LIFE_READY_FD);
    if (dprintf(fd, "%s\n", line) < 0) {
        log_event(EVENT_starter_gone, "fd=%d error=\"%m\"", fd);
    }
    close(fd);
}

static void on_idle_look(evutil_socket_t fd, short what, void *context)
{
    struct daemon *d = context;
    (void)fd;
    (void)what;
    uint64_t now_ms = clock_now_ms();
    if (agent_is_needed(d->machine)) {
        d->idle_since_ms = 0;
    } else if (d->idle_since_ms == 0) {
        d->idle_since_ms = now_ms;
    } else if (now_ms - d->idle_since_ms >=
               (uint64_t)part_number(d->config, &part_life, LIFE_IDLE_EXIT)) {
        log_event(EVENT_stopping, "reason=\"nothing is held and no job runs\"");
        daemon_leave(d);
    }
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    struct timeval pause = {.tv_usec = LOOK_MS * 1000};
    if (part_number(d->config, &part_life, LIFE_IDLE_EXIT) == 0) {
        return CKPT_OK;
    }
    d->idle_event = event_new(d->base, -1, EV_PERSIST, on_idle_look, d);
    return d->idle_event != NULL && event_add(d->idle_event, &pause) == 0
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_MEMORY, "out of memory");
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    if (d->idle_event != NULL) {
        event_free(d->idle_event);
    }
}

struct part part_life = {.keys = keys, .key_count = LIFE_KEYS, .start = start, .stop = stop};
