/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/start.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "ckptd/doors.h"
#include "ckptd/life.h"
#include "ckptd/parts.h"
#include "ckptd/turn.h"
#include "session/notify.h"
#include "session/signals.h"
#include "session/watchdog.h"

enum ckpt_status daemon_start(struct daemon *d, const struct config *config,
                              char reason[PART_REASON_BYTES])
{
    memset(d, 0, sizeof *d);
    d->config = config;
    d->event_descriptor = -1;
    enum ckpt_status status =
        parts_start(ckptd_parts, d, life_is_stopped, &d->parts_started, reason);
    d->is_started = status == CKPT_OK;
    return status;
}

void daemon_stop(struct daemon *d)
{
    parts_stop(ckptd_parts, d, d->parts_started);
}

static void on_signal(int number, void *context)
{
    struct daemon *d = context;
    if (number == SIGHUP) {
        return;
    }
    log_event(EVENT_stopping, "signal=%d", number);
    daemon_leave(d);
}

int daemon_run(struct daemon *d)
{
    struct session_signals *signals = NULL;
    struct session_watchdog *watchdog = NULL;
    if (session_signals_watch(d->base, on_signal, d, &signals) != CKPT_OK) {
        return 1;
    }
    if (life_is_stopped()) { /* it came a moment before */
        log_event(EVENT_stopping, "reason=\"stopped before it was ready\"");
        event_base_loopexit(d->base, NULL);
    }
    if (session_watchdog_start(d->base, &watchdog) != CKPT_OK) {
        session_signals_free(&signals);
        return 1;
    }
    (void)session_notify("READY=1");
    life_tell_starter(d->config, "ready");
    log_event(EVENT_ready, "node=%s domain=%s address=%s socket=%s", d->node, d->domain, d->address,
              part_text(d->config, &part_doors, DOORS_SOCKET));
    event_base_dispatch(d->base);
    (void)session_notify("STOPPING=1");
    session_watchdog_free(&watchdog);
    session_signals_free(&signals);
    return d->is_broken ? 1 : 0;
}
