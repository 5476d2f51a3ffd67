/* SPDX-License-Identifier: Apache-2.0 */
#include "session/signals.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

static const int watched[] = {SIGTERM, SIGINT, SIGHUP};
#define WATCHED (sizeof(watched) / sizeof(watched[0]))

struct session_signals {
    session_on_signal *on_signal;
    void *context;
    struct event *events[WATCHED];
};

static void relay(evutil_socket_t number, short what, void *context)
{
    (void)what;
    struct session_signals *signals = context;
    signals->on_signal((int)number, signals->context);
}

enum ckpt_status session_signals_watch(struct event_base *base, session_on_signal *on_signal,
                                       void *context, struct session_signals **signals_out)
{
    struct session_signals *signals = calloc(1, sizeof(*signals));
    if (!signals) {
        return CKPT_ERR_MEMORY;
    }
    signals->on_signal = on_signal;
    signals->context = context;
    for (size_t i = 0; i < WATCHED; i++) {
        signals->events[i] = evsignal_new(base, watched[i], relay, signals);
        if (!signals->events[i] || evsignal_add(signals->events[i], NULL) != 0) {
            session_signals_free(&signals);
            return CKPT_ERR_MEMORY;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write, not an end */
    *signals_out = signals;
    return CKPT_OK;
}

void session_signals_free(struct session_signals **signals)
{
    if (!signals || !*signals) {
        return;
    }
    for (size_t i = 0; i < WATCHED; i++) {
        if ((*signals)->events[i]) {
            event_free((*signals)->events[i]);
        }
    }
    free(*signals);
    *signals = NULL;
}
