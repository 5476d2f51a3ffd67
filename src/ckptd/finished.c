/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/finished.h"

#include <event2/event.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "base/reason.h"
#include "ckptd/connections.h"
#include "ckptd/turn.h"
#include "mover/mover.h"
#include "session/session.h"

static void send_filled_offer(struct daemon *d, struct offer_reply *reply)
{
    struct session *session = connections_find(d, AGENT_TO_PEER, reply->link);
    if (session != NULL) {
        enum ckpt_status status = session_send(session, &reply->message, NULL, 0);
        if (status != CKPT_OK) {
            log_event(EVENT_offer_not_sent, "status=%s", ckpt_status_name(status));
        }
    }
}

static void end_work(struct daemon *d, struct work *work)
{
    if (work->plan.type == WORK_DIGEST) {
        FAULT_POINT(agent_before_digest_report);
    }
    struct agent_event event = {.type = AGENT_WORK_DONE,
                                .work = work->plan.number,
                                .status = (enum ckpt_status)atomic_load(&work->status),
                                .digest = work->digest,
                                .device_digest = work->device_digest};
    work_free(work);
    turn_event(d, &event);
}

static void on_completion(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *d = context;
    struct work *work;
    struct offer_reply *offer;
    completions_take(d->completions, &work, &offer);
    while (offer != NULL) {
        struct offer_reply *next = offer->next;
        send_filled_offer(d, offer);
        offer_reply_free(offer);
        offer = next;
    }
    while (work != NULL) {
        struct work *next = work->next;
        if (work->is_handed_back) {
            mover_renew(d->mover, work);
        } else {
            end_work(d, work);
        }
        work = next;
    }
}

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    if (completions_make(&d->completions) == CKPT_OK) {
        d->completion_event = event_new(d->base, completions_fd(d->completions),
                                        EV_READ | EV_PERSIST, on_completion, d);
    }
    return d->completion_event != NULL && event_add(d->completion_event, NULL) == 0
               ? CKPT_OK
               : reason_refuse(reason, CKPT_ERR_SYSTEM, "the event loop can't be made");
}

static void stop(void *daemon)
{
    struct daemon *d = daemon;
    if (d->completion_event != NULL) {
        event_free(d->completion_event);
    }
    completions_free(&d->completions);
}

struct part part_finished = {.start = start, .stop = stop};
