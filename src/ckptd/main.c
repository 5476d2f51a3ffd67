/* SPDX-License-Identifier: Apache-2.0 */
/* ckptd: the agent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "ckptd/compat.h"
#include "ckptd/identity.h"
#include "ckptd/life.h"
#include "ckptd/logging.h"
#include "ckptd/options.h"
#include "ckptd/start.h"
#include "daemon/strangers.h"

extern char **environ;

/* The exit code. A start that was stopped ends in order, like what was stopped later. */
static int say_not_started(enum ckpt_status status, const char *reason)
{
    char quoted[PART_REASON_BYTES + 64];
    if (life_is_stopped()) {
        log_event(EVENT_stopping, "reason=%s", LOG_QUOTED(reason));
        return 0;
    }
    log_event(EVENT_not_started, "status=%s reason=%s", ckpt_status_name(status),
              log_quote(reason, quoted, sizeof quoted));
    return status == CKPT_ERR_CONFIG ? 2 : 1;
}

int main(int argc, char **argv)
{
    char reason[PART_REASON_BYTES];
    struct config *config = NULL;
    enum config_request request;
    if (compat_is_asked(argc, argv)) {
        return compat_become(argc, argv);
    }
    enum ckpt_status status = config_load(options_program(), argc, argv, environ, &config, &request,
                                          reason, sizeof reason);
    if (status == CKPT_OK && (request != CONFIG_RUN && request != CONFIG_CHECK)) {
        (void)config_answer(options_program(), config, request, stdout);
        return 0;
    }
    if (status == CKPT_OK) {
        status = options_check(config, reason);
    }
    if (status == CKPT_OK) {
        logging_begin(config);
        strangers_tell(options_program(), config, request, environ);
        status = identity_derive(config, reason);
    }
    if (status == CKPT_OK && config_answer(options_program(), config, request, stdout)) {
        config_delete(&config);
        return 0;
    }
    if (status == CKPT_OK) {
        status = fault_points_arm_from_environment(reason, sizeof reason);
    }
    if (status != CKPT_OK) {
        fprintf(stderr, "ckptd: %s\n", reason);
        if (config != NULL) {
            life_tell_starter(config, reason);
        }
        config_delete(&config);
        return 2;
    }
    struct daemon daemon;
    int code;
    life_watch_stop();
    status = daemon_start(&daemon, config, reason);
    if (status == CKPT_OK) {
        code = daemon_run(&daemon);
    } else {
        life_tell_starter(config, reason);
        code = say_not_started(status, reason);
    }
    daemon_stop(&daemon);
    log_event(EVENT_ended, "code=%d", code);
    config_delete(&config);
    return code;
}
