/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/turn.h"

#include <assert.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/reason.h"
#include "ckptd/act.h"
#include "mover/mover.h"
#include "session/session.h"

#define LATE_SLACK_MS 50 /* less is no stall but the way of a busy machine */

static void arm(struct daemon *d, uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX) {
        event_del(d->deadline_event);
        return;
    }
    uint64_t now = clock_now_ms();
    uint64_t wait = deadline_ms > now ? deadline_ms - now : 0;
    struct timeval pause = {.tv_sec = (time_t)(wait / 1000),
                            .tv_usec = (suseconds_t)(wait % 1000) * 1000};
    event_add(d->deadline_event, &pause);
}

/* Links are noted during a turn and only then spoken to, so a turn never runs inside another. */
void turn_event(struct daemon *d, struct agent_event *event)
{
    do {
        event->now_ms = clock_now_ms();
        event->late_ms = lateness_take(&d->lateness, event->now_ms, LATE_SLACK_MS);
        struct transport_rails rails =
            d->mover != NULL ? mover_rails(d->mover) : (struct transport_rails){0, 0};
        event->rails = rails.total;
        event->rails_up = rails.up;
        d->event_message = event->message;
        enum ckpt_status status = agent_advance(d->machine, event, d->update);
        assert(status == CKPT_OK);
        (void)status;
        act_on_update(d, d->update);
        d->event_message = NULL;
        *event = (struct agent_event){.type = AGENT_TICK};
    } while (d->update->again && !d->is_broken);
    lateness_due(&d->lateness, d->update->deadline_ms);
    if (d->base != NULL) {
        arm(d, d->update->deadline_ms);
    }
    if (d->is_broken && d->base != NULL) {
        event_base_loopbreak(d->base);
    }
}

void daemon_leave(struct daemon *d)
{
    struct agent_event event = {.type = AGENT_STOP};
    turn_event(d, &event);
    session_hub_flush(d->hub);
    event_base_loopexit(d->base, NULL);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct agent_event event = {.type = AGENT_TICK};
    turn_event(context, &event);
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    d->base = event_base_new();
    if (d->base != NULL) {
        d->deadline_event = evtimer_new(d->base, on_deadline, d);
    }
    return d->deadline_event != NULL
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_SYSTEM, "the event loop can't be made");
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    if (d->deadline_event != NULL) {
        event_free(d->deadline_event);
    }
    if (d->base != NULL) {
        event_base_free(d->base);
    }
}

struct part part_turn = {.start = start, .stop = stop};
