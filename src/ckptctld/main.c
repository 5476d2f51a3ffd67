/* SPDX-License-Identifier: Apache-2.0 */
/* ckptctld: the coordinator. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/log.h"
#include "ckptctld/logging.h"
#include "ckptctld/options.h"
#include "ckptctld/start.h"
#include "daemon/strangers.h"

/* The daemon's own struct is large: the update holds the messages of a turn. */
static enum exit_code run_with(const struct options *options)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    if (!daemon) {
        log_event(EVENT_start_failed, "text=\"no memory\"");
        return EXIT_START;
    }
    if (daemon_start(daemon, options) == CKPT_OK) {
        (void)daemon_run(daemon);
    }
    enum exit_code code = daemon->exit_code;
    daemon_stop(daemon);
    log_event(EVENT_ended, "exit=%d", (int)code);
    free(daemon);
    return code;
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    enum config_request request;
    struct options options;
    char reason[CKPT_REASON_MAX + 1];
    enum exit_code code = EXIT_CONFIG;
    umask(077);
    if (config_load(options_program(), argc, argv, environ, &config, &request, reason,
                    sizeof(reason)) != CKPT_OK) {
        fprintf(stderr, "ckptctld: %s\n", reason);
        return EXIT_CONFIG;
    }
    if (request != CONFIG_RUN && request != CONFIG_CHECK) {
        config_answer(options_program(), config, request, stdout);
        return EXIT_ENDED;
    }
    if (options_read(config, &options, reason) != CKPT_OK ||
        fault_points_arm_from_environment(reason, sizeof(reason)) != CKPT_OK) {
        fprintf(stderr, "ckptctld: %s\n", reason);
    } else {
        logging_begin(&options);
        strangers_tell(options_program(), config, request, environ);
        code = config_answer(options_program(), config, request, stdout) ? EXIT_ENDED
                                                                         : run_with(&options);
    }
    config_delete(&config);
    return (int)code;
}
