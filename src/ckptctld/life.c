/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/life.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/reason.h"
#include "session/notify.h"
#include "session/signals.h"
#include "session/watchdog.h"

static void on_signal(int number, void *context)
{
    struct daemon *daemon = context;
    if (number == SIGHUP) {
        log_event(EVENT_signal_ignored,
                  "signal=SIGHUP text=\"configuration is read at start only\"");
        return;
    }
    log_event(EVENT_ending, "signal=%s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    session_notify("STOPPING=1");
    daemon_leave(daemon, EXIT_ENDED);
}

/* As many descriptors as there may be sessions, and some for the store. */
static void raise_descriptor_limit(const struct options *options)
{
    struct rlimit limit;
    rlim_t wanted = 3 * (rlim_t)options->machine.agents_max + 1024;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        log_event(EVENT_few_descriptors,
                  "limit=%" PRIuMAX " wanted=%" PRIuMAX " text=\"not all agents can connect: raise "
                  "LimitNOFILE\"",
                  (uintmax_t)limit.rlim_cur, (uintmax_t)wanted);
    }
}

static enum ckpt_status start(void *context, char *reason)
{
    struct daemon *daemon = context;
    raise_descriptor_limit(&daemon->options);
    return session_signals_watch(daemon->base, on_signal, daemon, &daemon->signals) == CKPT_OK &&
                   session_watchdog_start(daemon->base, &daemon->watchdog) == CKPT_OK
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_MEMORY, "no memory");
}

static void stop(void *context)
{
    struct daemon *daemon = context;
    session_watchdog_free(&daemon->watchdog);
    session_signals_free(&daemon->signals);
}

struct part part_life = {.start = start, .stop = stop};
