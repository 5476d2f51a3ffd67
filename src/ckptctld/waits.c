/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/waits.h"

#include <event2/event.h>

#include "base/reason.h"

#define AGAIN_MS 250 /* between two tries of what may pass */

bool waits_begin(struct daemon *daemon, enum ckpt_status status,
                 void (*again)(struct daemon *daemon))
{
    const struct timeval pause = {.tv_usec = AGAIN_MS * 1000};
    daemon->waits.what = store_may_pass(status) ? status : CKPT_OK;
    if (daemon->waits.what == CKPT_OK) {
        return false;
    }
    daemon->waits.again = again;
    evtimer_add(daemon->waits.event, &pause);
    return true;
}

const char *waits_text(const struct daemon *daemon)
{
    switch ((int)daemon->waits.what) {
    case CKPT_ERR_TIMEOUT:
        return "another program holds a lock on the records: end its transaction";
    case CKPT_ERR_FULL:
        return "there is no room for records: make some on their file system";
    default:
        return "the disk of the records has not answered yet";
    }
}

enum exit_code waits_exit_code(enum ckpt_status status)
{
    switch ((int)status) {
    case CKPT_ERR_STALE:
        return EXIT_STALE;
    case CKPT_ERR_CORRUPT:
    case CKPT_ERR_VERSION:
        return EXIT_STORE;
    default:
        return EXIT_START;
    }
}

static void on_again(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct daemon *daemon = context;
    if (!daemon->ending) {
        daemon->waits.again(daemon);
    }
}

static enum ckpt_status start(void *context, char *reason)
{
    struct daemon *daemon = context;
    daemon->waits.event = evtimer_new(daemon->base, on_again, daemon);
    return daemon->waits.event ? CKPT_OK : reason_refuse(reason, CKPT_ERR_MEMORY, "no memory");
}

static void stop(void *context)
{
    struct daemon *daemon = context;
    if (daemon->waits.event) {
        event_free(daemon->waits.event);
    }
}

struct part part_waits = {.start = start, .stop = stop};
