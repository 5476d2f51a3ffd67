/* SPDX-License-Identifier: Apache-2.0 */
#include "session/watchdog.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "session/notify.h"

#define TOLD_IN_AN_INTERVAL 3
#define INTERVAL_USEC_MAX (UINT64_C(24) * 3600 * 1000000)

struct session_watchdog {
    struct event *event;
};

static bool read_number(const char *name, uint64_t max, uint64_t *number_out)
{
    const char *text = getenv(name);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    *number_out = number;
    return *end == '\0' && errno == 0 && number > 0 && number <= max;
}

/* WATCHDOG_PID, where it is set, says whom the manager means. */
static bool is_asked(uint64_t *interval_us_out)
{
    uint64_t pid;
    if (getenv("WATCHDOG_PID") != NULL &&
        (!read_number("WATCHDOG_PID", INT32_MAX, &pid) || pid != (uint64_t)getpid())) {
        return false;
    }
    return read_number("WATCHDOG_USEC", INTERVAL_USEC_MAX, interval_us_out);
}

static void tell(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
    (void)session_notify("WATCHDOG=1"); /* a lost one is made good by the next */
}

enum ckpt_status session_watchdog_start(struct event_base *base,
                                        struct session_watchdog **watchdog_out)
{
    uint64_t interval_us;
    if (!is_asked(&interval_us)) {
        *watchdog_out = NULL;
        return CKPT_OK;
    }
    uint64_t pause_us = interval_us / TOLD_IN_AN_INTERVAL;
    struct timeval pause = {.tv_sec = (time_t)(pause_us / 1000000),
                            .tv_usec = (suseconds_t)(pause_us % 1000000)};
    struct session_watchdog *watchdog = calloc(1, sizeof(*watchdog));
    if (watchdog == NULL) {
        return CKPT_ERR_MEMORY;
    }
    watchdog->event = event_new(base, -1, EV_PERSIST, tell, NULL);
    if (watchdog->event == NULL || event_add(watchdog->event, &pause) != 0) {
        session_watchdog_free(&watchdog);
        return CKPT_ERR_MEMORY;
    }
    *watchdog_out = watchdog;
    return CKPT_OK;
}

void session_watchdog_free(struct session_watchdog **watchdog)
{
    if (*watchdog == NULL) {
        return;
    }
    if ((*watchdog)->event != NULL) {
        event_free((*watchdog)->event);
    }
    free(*watchdog);
    *watchdog = NULL;
}
