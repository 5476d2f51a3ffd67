/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/strangers.h"

#include <stdio.h>

#include "base/log.h"

struct listener {
    const char *program;
    enum config_request request;
};

static void tell(void *context, const char *line)
{
    const struct listener *listener = context;
    if (listener->request == CONFIG_CHECK) {
        fprintf(stderr, "%s: %s\n", listener->program, line);
    } else {
        log_event(EVENT_variable_not_read, "text=%s", LOG_QUOTED(line));
    }
}

void strangers_tell(const struct config_program *program, const struct config *config,
                    enum config_request request, char *const *environment)
{
    struct listener listener = {.program = program->name, .request = request};
    config_tell_strangers(config, environment, tell, &listener);
}
