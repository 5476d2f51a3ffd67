/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptd/service.h"

#include "ckptd/adopt.h"
#include "ckptd/coordinator.h"
#include "session/session.h"

static enum ckpt_status start(void *daemon, char *reason)
{
    struct daemon *d = daemon;
    adopt_all(d);
    enum ckpt_status status = session_hub_serve(d->hub, reason);
    if (status == CKPT_OK) {
        coordinator_connect(d);
    }
    return status;
}

/* Nobody is heard while the rest ends. */
static void stop(void *daemon)
{
    struct daemon *d = daemon;
    session_hub_close(&d->hub);
}

struct part part_service = {.start = start, .stop = stop};
