/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/quiet.h"

#include <assert.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mover/digester.h"
#include "mover/mover.h"

struct quiet {
    struct digester *digester;
    struct mover *mover;
    struct event *end_event;
    bool is_on;
    uint64_t since_ms;
    uint64_t not_before_ms; /* the next */
    uint32_t slots;
    uint32_t filling_count;
    bool filling[]; /* and not for too long */
};

static void end(struct quiet *q, uint64_t now_ms)
{
    if (!q->is_on) {
        return;
    }
    q->is_on = false;
    q->not_before_ms = now_ms + (now_ms - q->since_ms);
    event_del(q->end_event);
    digester_hold(q->digester, false);
    mover_hold(q->mover, false);
}

static void on_end(evutil_socket_t fd, short what, void *context)
{
    struct quiet *q = context;
    (void)fd;
    (void)what;
    memset(q->filling, 0, q->slots * sizeof q->filling[0]);
    q->filling_count = 0;
    digester_saves(q->digester, false);
    end(q, q->since_ms + QUIET_MS);
}

enum ckpt_status quiet_make(struct event_base *base, uint32_t slots, struct digester *digester,
                            struct mover *mover, struct quiet **quiet_out)
{
    struct quiet *q = calloc(1, sizeof *q + slots * sizeof q->filling[0]);
    if (q == NULL) {
        return CKPT_ERR_MEMORY;
    }
    q->digester = digester;
    q->mover = mover;
    q->slots = slots;
    q->end_event = evtimer_new(base, on_end, q);
    if (q->end_event == NULL) {
        free(q);
        return CKPT_ERR_MEMORY;
    }
    *quiet_out = q;
    return CKPT_OK;
}

void quiet_free(struct quiet **quiet)
{
    struct quiet *q = *quiet;
    if (q == NULL) {
        return;
    }
    end(q, q->since_ms);
    event_free(q->end_event);
    free(q);
    *quiet = NULL;
}

void quiet_slot(struct quiet *quiet, uint32_t slot, bool filling, uint64_t now_ms)
{
    assert(slot < quiet->slots);
    if (quiet->filling[slot] == filling) {
        return;
    }
    quiet->filling[slot] = filling;
    if (filling) {
        quiet->filling_count++;
        digester_saves(quiet->digester, true);
    } else if (--quiet->filling_count == 0) {
        digester_saves(quiet->digester, false);
        end(quiet, now_ms);
    }
}

void quiet_work(struct quiet *quiet, uint64_t now_ms)
{
    const struct timeval longest = {.tv_usec = QUIET_MS * 1000};
    if (quiet->filling_count == 0 || quiet->is_on || now_ms < quiet->not_before_ms ||
        event_add(quiet->end_event, &longest) != 0) {
        return;
    }
    quiet->is_on = true;
    quiet->since_ms = now_ms;
    digester_hold(quiet->digester, true);
    mover_hold(quiet->mover, true);
}
