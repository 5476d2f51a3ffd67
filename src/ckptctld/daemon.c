/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/daemon.h"

#include <event2/event.h>

void daemon_leave(struct daemon *daemon, enum exit_code code)
{
    if (!daemon->ending) {
        daemon->ending = true;
        daemon->exit_code = code;
        event_base_loopbreak(daemon->base);
    }
}
