/* SPDX-License-Identifier: Apache-2.0 */
/* What every case begins and may end with. */
#include "case.h"

#include <stdio.h>
#include <unistd.h>

#include "process/complain.h"

enum bench_exit case_fail(const char *name, enum ckpt_status status, const char *reason)
{
    complain("%s: %s", name, reason[0] != '\0' ? reason : ckpt_status_text(status));
    return status == CKPT_ERR_CONFIG ? BENCH_USAGE : BENCH_FAILED;
}

static void tell_stranger(void *context, const char *line)
{
    (void)context;
    complain("%s", line);
}

bool case_options(const struct config_program *program, int argc, char **argv,
                  struct config **config_out, enum bench_exit *exit_out)
{
    char reason[CONFIG_TEXT_MAX];
    char *no_environment[] = {NULL};
    enum config_request request;
    struct config *config = NULL;
    if (config_load(program, argc, argv, no_environment, &config, &request, reason,
                    sizeof(reason)) != CKPT_OK) {
        complain("%s: %s (ckptbench %s --help lists the flags)", argv[0], reason, argv[0]);
        *exit_out = BENCH_USAGE;
        return false;
    }
    if (config) {
        config_tell_strangers(config, environ, tell_stranger, NULL);
    }
    if (config_answer(program, config, request, stdout)) {
        config_delete(&config);
        *exit_out = BENCH_OK;
        return false;
    }
    *config_out = config;
    return true;
}
