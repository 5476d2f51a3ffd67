/* SPDX-License-Identifier: Apache-2.0 */
#include "ckptctld/start.h"

#include <event2/event.h>

#include "base/log.h"
#include "ckptctld/parts.h"

enum ckpt_status daemon_start(struct daemon *daemon, const struct options *options)
{
    char reason[PART_REASON_BYTES] = "";
    daemon->options = *options;
    daemon->exit_code = EXIT_START;
    enum ckpt_status status =
        parts_start(ckptctld_parts, daemon, NULL, &daemon->parts_started, reason);
    if (status != CKPT_OK && reason[0] != '\0') { /* else it has been said */
        log_event(EVENT_start_failed, "text=%s", LOG_QUOTED(reason));
        daemon->exit_code = EXIT_START;
    }
    return status;
}

enum exit_code daemon_run(struct daemon *daemon)
{
    event_base_dispatch(daemon->base);
    return daemon->exit_code;
}

void daemon_stop(struct daemon *daemon)
{
    parts_stop(ckptctld_parts, daemon, daemon->parts_started);
}
